import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { WsResponse } from '@nestjs/websockets';
import { map } from 'rxjs';
import type { Observable } from 'rxjs';
import { Dashboard } from './dashboard.js';
import type { Summary } from './dashboard.js';

@WebSocketGateway({ path: '/live' })
export class DashboardGateway {
  constructor(private readonly dashboard: Dashboard) {}

  @SubscribeMessage('summary')
  summary(): Observable<WsResponse<{ value: Summary; stale: boolean }>> {
    return this.dashboard.summary$.pipe(map((data) => ({ event: 'summary', data })));
  }
}
