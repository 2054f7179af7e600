import { Subject } from 'rxjs';
import type { Observable } from 'rxjs';
import { PgNotifyAsyncContext } from './pg-notify.async-context.js';
import type { PgNotifyDiagnostics } from './pg-notify.diagnostics.js';
import { errorsIn, isPgNotifyError, messageOf, PgNotifyError, stackOf } from './pg-notify.errors.js';
import type { PgNotifyLogger } from './pg-notify.logger.js';
import type { ErrorRoute } from './pg-notify.registration-context.js';

/** The interval at which equal failures are logged, in milliseconds. */
const LOG_INTERVAL = 60_000;
/** How many causes are told apart while a handler does not work. A handler whose causes all differ is not kept in memory. */
const MOST_CAUSES = 10;

type Severity = 'error' | 'warning';

/** Equal failures of one handler since it worked last. */
interface FailureSeries {
  readonly severity: Severity;
  readonly begunAt: number;
  /** The message of the last failure. */
  message: string;
  loggedAt: number;
  count: number;
  /** The number of failures that are not in the log yet. */
  unlogged: number;
}

/** A handler that does not work. */
interface FailingSource {
  readonly begunAt: number;
  count: number;
  /** By their causes, the one that failed longest ago first. */
  readonly series: Map<string, FailureSeries>;
}

/** Takes failures that have no caller: logs each once, and emits it to subscribers. */
export class PgNotifyErrorRoute implements ErrorRoute {
  private readonly errors = new Subject<PgNotifyError>();
  private readonly context = new PgNotifyAsyncContext();
  /** Keyed by the source of the failure. */
  private readonly failing = new Map<unknown, FailingSource>();

  constructor(
    private readonly logger: PgNotifyLogger,
    private readonly diagnostics: PgNotifyDiagnostics,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Emits all errors. It never fails, and completes when the registration is closed. */
  get errors$(): Observable<PgNotifyError> {
    return this.errors.asObservable();
  }

  /** Wraps other errors in a PgNotifyError of kind `handler`. */
  report(thrown: unknown, source?: object, severity: Severity = 'error'): void {
    const error = isPgNotifyError(thrown) ? thrown : new PgNotifyError('handler', messageOf(thrown), { cause: thrown });
    if (error.kind === 'handler' && error.handler !== undefined)
      this.logFailure(source ?? error.handler, error, severity);
    else this.log(severity, error, error.kind === 'handler' ? stacksOf(error) : undefined);
    this.tell(error);
  }

  recovered(handler: string, source?: object): void {
    const key = source ?? handler;
    const failed = this.failing.get(key);
    this.failing.delete(key);
    if (!failed || failed.count === 1) return;
    this.logger.log(`${handler} works again, after ${failed.count} failures in ${this.durationOf(failed)} s.`);
  }

  /**
   * Logs a failure in full. Of equal ones only the first is, then their number once a minute, when a new cause follows and at
   * the end. Failures that take turns are equal to those before the last one.
   */
  private logFailure(key: unknown, error: PgNotifyError, severity: Severity): void {
    const now = this.now();
    const { message } = error;
    const cause = messageOf(error.cause ?? error);
    const source = this.failing.get(key) ?? { begunAt: now, count: 0, series: new Map<string, FailureSeries>() };
    this.failing.set(key, source);
    source.count += 1;
    const series = source.series.get(cause);
    source.series.delete(cause);
    if (!series) {
      for (const other of source.series.values()) this.logNumber(other);
      const [oldest] = source.series.keys();
      if (source.series.size === MOST_CAUSES) source.series.delete(oldest!);
      source.series.set(cause, { message, severity, begunAt: now, loggedAt: now, count: 1, unlogged: 0 });
      return this.log(severity, error, stacksOf(error));
    }
    source.series.set(cause, series);
    series.message = message;
    series.count += 1;
    series.unlogged += 1;
    if (now - series.loggedAt >= LOG_INTERVAL) this.logNumber(series);
  }

  private logNumber(series: FailureSeries): void {
    if (series.unlogged === 0) return;
    series.loggedAt = this.now();
    series.unlogged = 0;
    const { severity, message, count } = series;
    this.log(severity, `${message} (${count} equal failures in ${this.durationOf(series)} s.)`, []);
  }

  private log(severity: Severity, error: unknown, stacks: readonly (string | undefined)[] | undefined): void {
    if (severity === 'error') this.logger.error(error, stacks);
    else this.logger.warn(messageOf(error), stacks);
  }

  private durationOf({ begunAt }: { readonly begunAt: number }): number {
    return Math.ceil((this.now() - begunAt) / 1_000);
  }

  tell(error: PgNotifyError): void {
    this.diagnostics.publish('nest-pg-notify.error', { error });
    this.context.run(() => this.errors.next(error));
  }

  close(): void {
    for (const { series } of this.failing.values()) {
      for (const each of series.values()) this.logNumber(each);
    }
    this.failing.clear();
    this.errors.complete();
  }
}

/** The stacks for the log. That of the handler's error is more useful than that of the error that reports it. */
function stacksOf(error: PgNotifyError): readonly (string | undefined)[] {
  const stacks = errorsIn(error.cause).map(stackOf);
  return stacks.some((stack) => stack !== undefined) ? stacks : [error.stack];
}
