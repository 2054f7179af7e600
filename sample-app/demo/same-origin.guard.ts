import { ForbiddenException, Injectable } from '@nestjs/common';
import type { CanActivate, ExecutionContext } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { isOfSameOrigin } from './same-origin.js';

/** Keeps pages of other origins from having a visitor's browser change something here. */
@Injectable()
export class SameOriginGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (context.getType() !== 'http') return true; // The gateway checks the origin when a WebSocket is opened.
    const { method, headers } = context.switchToHttp().getRequest<IncomingMessage>();
    if (method === 'GET' || method === 'HEAD' || isOfSameOrigin(headers)) return true;
    throw new ForbiddenException('Only the shop’s own page may do that.');
  }
}
