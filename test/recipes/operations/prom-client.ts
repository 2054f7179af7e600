import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Injectable } from '@nestjs/common';
import type { OnApplicationShutdown } from '@nestjs/common';
import { PgNotifyService } from 'nest-pg-notify';
import type { PgNotifyDiagnosticsEvents } from 'nest-pg-notify';
import { Counter, Gauge, Histogram } from 'prom-client';

type Run = PgNotifyDiagnosticsEvents['nest-pg-notify.delivered'];

const FIGURES = ['received', 'delivered', 'failed', 'rejected', 'dropped', 'gaps', 'reconnects'] as const;

/** List it in the providers of a module: prom-client's `register.metrics()` has the figures then. */
@Injectable()
export class PgNotifyMetrics implements OnApplicationShutdown {
  private readonly errors = new Counter({
    name: 'pg_notify_errors_total',
    help: 'Errors, by their kind.',
    labelNames: ['kind'],
  });
  private readonly runs = new Histogram({
    name: 'pg_notify_handler_seconds',
    help: 'How long handlers ran.',
    labelNames: ['handler', 'channel', 'kind', 'outcome'],
  });
  // What the registration knows itself is read whenever Prometheus asks.
  private readonly up: Gauge = new Gauge({
    name: 'pg_notify_up',
    help: '1 while it listens, and delivery does not fail.',
    collect: () => {
      const { state, delivery } = this.pgNotify.status;
      this.up.set(state === 'listening' && delivery?.verdict !== 'failing' ? 1 : 0);
    },
  });
  private readonly waiting: Gauge = new Gauge({
    name: 'pg_notify_waiting',
    help: 'Notifications that wait for a handler.',
    labelNames: ['handler', 'channel'],
    collect: () => {
      for (const { kind, handler, channel, waiting } of this.pgNotify.stats().handlers) {
        if (kind === 'notification') this.waiting.set({ handler, channel }, waiting);
      }
    },
  });
  readonly totals = FIGURES.map((figure) => {
    const counter: Counter = new Counter({
      name: `pg_notify_${figure}_total`,
      help: `The figure ${figure} of stats().`,
      collect: () => {
        counter.reset();
        counter.inc(this.pgNotify.stats()[figure]);
      },
    });
    return counter;
  });

  constructor(private readonly pgNotify: PgNotifyService) {
    pgNotify.errors$.subscribe(({ kind }) => this.errors.inc({ kind }));
    subscribe('nest-pg-notify.delivered', this.onDelivered);
    subscribe('nest-pg-notify.failed', this.onFailed);
  }

  onApplicationShutdown(): void {
    unsubscribe('nest-pg-notify.delivered', this.onDelivered);
    unsubscribe('nest-pg-notify.failed', this.onFailed);
  }

  private readonly onDelivered = (event: unknown): void => this.observe(event as Run, 'delivered');
  private readonly onFailed = (event: unknown): void => this.observe(event as Run, 'failed');

  private observe({ handler, channel, kind, duration }: Run, outcome: string): void {
    this.runs.observe({ handler, channel, kind, outcome }, duration / 1_000);
  }
}
