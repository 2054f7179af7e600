import { Injectable } from '@nestjs/common';
import { PgNotifyService } from 'nest-pg-notify';
import type { PgLiveValue, PgNotifyStatus } from 'nest-pg-notify';
import { defer, interval, map, merge, of, share, startWith, takeUntil, throttleTime } from 'rxjs';
import type { Observable } from 'rxjs';
import { DemoPolicy } from '../demo/demo-policy.js';
import { JobChanges } from '../jobs/job-changes.js';
import { MailService } from '../mail/mail.service.js';
import { MailChanges } from '../mail/mail-changes.js';
import { OrderEvents } from '../orders/order-events.js';
import { ProductChanges } from '../products/product-changes.js';
import { ActivityLog } from './activity.js';
import { completed } from './completed.js';
import { NaiveListener } from './naive-listener.js';
import { Summaries } from './summaries.js';
import type { Summary } from './summaries.js';

/** One thing that a dashboard is told. */
export interface DashboardEvent {
  readonly type: 'instance' | 'status' | 'summary' | 'naive' | 'dead' | 'activity' | 'latency' | 'tick';
  readonly data: object;
}

/** A page that has got nothing for three of these knows that its stream has stopped. */
const TICK = 500;

/** All that the dashboard shows, as one stream; over SSE and over WebSockets. */
@Injectable()
export class DashboardService {
  readonly events$: Observable<DashboardEvent>;
  /** How many queries the live query has made, for any number of pages. */
  private queries = 0;

  constructor(
    private readonly pgNotify: PgNotifyService,
    private readonly summaries: Summaries,
    private readonly policy: DemoPolicy,
    naive: NaiveListener,
    activity: ActivityLog,
    mail: MailService,
  ) {
    this.events$ = merge(
      defer(() => of({ type: 'instance' as const, data: this.instance() })),
      pgNotify.status$.pipe(map((status) => ({ type: 'status' as const, data: shown(status) }))),
      this.summary().pipe(map((data) => ({ type: 'summary' as const, data }))),
      naive.state$.pipe(map((data) => ({ type: 'naive' as const, data }))),
      mail.dead$.pipe(map((data) => ({ type: 'dead' as const, data }))),
      activity.activity$.pipe(map((data) => ({ type: 'activity' as const, data }))),
      this.latency().pipe(map((data) => ({ type: 'latency' as const, data }))),
      this.tick().pipe(map((data) => ({ type: 'tick' as const, data }))),
    ).pipe(takeUntil(completed(pgNotify)));
  }

  /** One query after a burst of notifications, for all pages; and none while no page is open. */
  private summary(): Observable<PgLiveValue<Summary>> {
    const load = (): Promise<Summary> => {
      this.queries++;
      return this.summaries.load();
    };
    const channels = [OrderEvents, JobChanges, MailChanges, ProductChanges];
    return this.pgNotify.liveQuery(channels, load, { stale: true, minInterval: 200, timeout: 5_000 });
  }

  /** When the trigger ran, by the server's clock: the page compares it with its own. */
  private latency(): Observable<object> {
    return this.pgNotify.listen(OrderEvents).pipe(
      throttleTime(200),
      map(({ payload: { at } }) => ({ at })),
    );
  }

  private tick(): Observable<object> {
    return interval(TICK).pipe(
      startWith(0),
      map(() => {
        const { received, gaps, reconnects, handlers } = this.pgNotify.stats();
        return { received, gaps, reconnects, handlers, queries: this.queries };
      }),
      share(),
    );
  }

  private instance(): object {
    return { processId: process.pid, refusals: this.policy.refusals };
  }
}

/** Without the message of the last failure: it names hosts, which are nobody's business outside. */
function shown({ state, since, attempts, delivery, processId, lastFailure }: PgNotifyStatus): object {
  return { state, since, attempts, delivery, processId, failure: lastFailure?.sqlState ?? lastFailure?.kind };
}
