import { applyDecorators, ForbiddenException, Injectable, SetMetadata, UseGuards } from '@nestjs/common';
import type { CanActivate, ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { IncomingMessage } from 'node:http';
import { DemoPolicy } from './demo-policy.js';
import type { Destruction } from './demo-policy.js';

const KEY = 'destruction';

/** Refuses what the policy refuses, and a host name that somebody may have pointed at this computer. */
@Injectable()
export class DestructionGuard implements CanActivate {
  constructor(
    private readonly policy: DemoPolicy,
    private readonly reflector: Reflector,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const destruction = this.reflector.get<Destruction>(KEY, context.getHandler());
    const refusal = this.policy.refusals[destruction];
    if (refusal) throw new ForbiddenException(refusal);
    const { host = '' } = context.switchToHttp().getRequest<IncomingMessage>().headers;
    if (!/^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(host)) {
      throw new ForbiddenException('Open the shop as http://localhost to do that.');
    }
    return true;
  }
}

/** Decorates a method that breaks something. */
export const Destructive = (destruction: Destruction): MethodDecorator =>
  applyDecorators(SetMetadata(KEY, destruction), UseGuards(DestructionGuard));
