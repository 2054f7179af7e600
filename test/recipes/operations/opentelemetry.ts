import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Injectable } from '@nestjs/common';
import type { OnApplicationShutdown } from '@nestjs/common';
import { metrics } from '@opentelemetry/api';
import { PgNotifyService } from 'nest-pg-notify';
import type { PgNotifyDiagnosticsEvents } from 'nest-pg-notify';

type Run = PgNotifyDiagnosticsEvents['nest-pg-notify.delivered'];

const FIGURES = ['received', 'delivered', 'failed', 'rejected', 'dropped', 'gaps', 'reconnects'] as const;

/** List it in the providers of a module; the MeterProvider must have been set before. */
@Injectable()
export class PgNotifyMetrics implements OnApplicationShutdown {
  private readonly meter = metrics.getMeter('nest-pg-notify');
  private readonly errors = this.meter.createCounter('pg_notify.errors');
  private readonly runs = this.meter.createHistogram('pg_notify.handler.duration', { unit: 'ms' });

  constructor(pgNotify: PgNotifyService) {
    const { meter } = this;
    pgNotify.errors$.subscribe(({ kind }) => this.errors.add(1, { kind }));
    for (const figure of FIGURES) {
      const counter = meter.createObservableCounter(`pg_notify.${figure}`);
      counter.addCallback((result) => result.observe(pgNotify.stats()[figure]));
    }
    meter.createObservableGauge('pg_notify.up').addCallback((result) => {
      const { state, delivery } = pgNotify.status;
      result.observe(state === 'listening' && delivery?.verdict !== 'failing' ? 1 : 0);
    });
    meter.createObservableGauge('pg_notify.waiting').addCallback((result) => {
      for (const { kind, handler, channel, waiting } of pgNotify.stats().handlers) {
        if (kind === 'notification') result.observe(waiting, { handler, channel });
      }
    });
    subscribe('nest-pg-notify.delivered', this.onDelivered);
    subscribe('nest-pg-notify.failed', this.onFailed);
  }

  onApplicationShutdown(): void {
    unsubscribe('nest-pg-notify.delivered', this.onDelivered);
    unsubscribe('nest-pg-notify.failed', this.onFailed);
  }

  private readonly onDelivered = (event: unknown): void => this.record(event as Run, 'delivered');
  private readonly onFailed = (event: unknown): void => this.record(event as Run, 'failed');

  private record({ handler, channel, kind, duration }: Run, outcome: string): void {
    this.runs.record(duration, { handler, channel, kind, outcome });
  }
}
