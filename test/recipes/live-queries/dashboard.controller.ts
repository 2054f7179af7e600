import { Controller, Sse } from '@nestjs/common';
import { map } from 'rxjs';
import { Dashboard } from './dashboard.js';

@Controller()
export class DashboardController {
  constructor(private readonly dashboard: Dashboard) {}

  @Sse('summary')
  summary() {
    return this.dashboard.summary$.pipe(map((data) => ({ data }))); // { value: { orders, customers }, stale }
  }
}
