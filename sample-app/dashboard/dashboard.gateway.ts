import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { WsResponse } from '@nestjs/websockets';
import type { IncomingMessage } from 'node:http';
import { map } from 'rxjs';
import type { Observable } from 'rxjs';
import { isOfSameOrigin } from '../demo/same-origin.js';
import { DashboardService } from './dashboard.service.js';

/**
 * The same stream over a WebSocket: send `{ "event": "dashboard" }`. Browsers let pages of any origin open WebSockets, so the
 * origin is checked here.
 */
@WebSocketGateway({
  path: '/dashboard/socket',
  verifyClient: ({ req }: { req: IncomingMessage }) => isOfSameOrigin(req.headers),
})
export class DashboardGateway {
  constructor(private readonly dashboard: DashboardService) {}

  /** Nest unsubscribes when the client leaves. */
  @SubscribeMessage('dashboard')
  events(): Observable<WsResponse> {
    return this.dashboard.events$.pipe(map(({ type, data }) => ({ event: type, data })));
  }
}
