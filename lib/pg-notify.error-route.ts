import { Subject } from 'rxjs';
import type { Observable } from 'rxjs';
import { PgNotifyAsyncContext } from './pg-notify.async-context.js';
import type { PgNotifyDiagnostics } from './pg-notify.diagnostics.js';
import { errorsIn, isPgNotifyError, messageOf, PgNotifyError, stackOf } from './pg-notify.errors.js';
import type { PgNotifyLogger } from './pg-notify.logger.js';

/** How often equal failures in a row are logged, in milliseconds. */
const LOG_INTERVAL = 60_000;

/** Equal failures of one handler without a success between them. */
interface FailureSeries {
  readonly cause: string;
  readonly begunAt: number;
  loggedAt: number;
  count: number;
}

/** Where everything goes that failed and has no caller to tell: the log, once, and whoever subscribes. */
export class PgNotifyErrorRoute {
  private readonly errors = new Subject<PgNotifyError>();
  private readonly context = new PgNotifyAsyncContext();
  /** By handler. */
  private readonly failing = new Map<string, FailureSeries>();

  constructor(
    private readonly logger: PgNotifyLogger,
    private readonly diagnostics: PgNotifyDiagnostics,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The errors as they come; it never fails, and completes when the registration is closed. */
  get errors$(): Observable<PgNotifyError> {
    return this.errors.asObservable();
  }

  /** Logs the error, and tells the subscribers. What is not ours yet becomes an error of kind `handler`. */
  report(thrown: unknown): void {
    const error = isPgNotifyError(thrown) ? thrown : new PgNotifyError('handler', messageOf(thrown), { cause: thrown });
    if (error.kind === 'handler' && error.handler !== undefined) this.logFailure(error.handler, error);
    else this.logger.error(error, error.kind === 'handler' ? stacksOf(error) : undefined);
    this.tell(error);
  }

  /** A handler, or a live query, has succeeded after failures. */
  recovered(handler: string): void {
    const series = this.failing.get(handler);
    this.failing.delete(handler);
    if (!series || series.count === 1) return;
    const duration = Math.ceil((this.now() - series.begunAt) / 1_000);
    this.logger.log(`${handler} works again, after ${series.count} failures in ${duration} s.`);
  }

  /** In full; but of equal ones in a row only the first, and then their number once a minute. */
  private logFailure(handler: string, error: PgNotifyError): void {
    const now = this.now();
    const cause = messageOf(error.cause ?? error);
    const series = this.failing.get(handler);
    if (series?.cause !== cause) {
      this.failing.set(handler, { cause, begunAt: now, loggedAt: now, count: 1 });
      return this.logger.error(error, stacksOf(error));
    }
    series.count += 1;
    if (now - series.loggedAt < LOG_INTERVAL) return;
    series.loggedAt = now;
    const duration = Math.ceil((now - series.begunAt) / 1_000);
    this.logger.error(`${error.message} (${series.count} equal failures in ${duration} s.)`, []);
  }

  /** Tells the subscribers of an error that is logged elsewhere, or that its caller gets. */
  tell(error: PgNotifyError): void {
    this.diagnostics.publish('nest-pg-notify.error', { error });
    this.context.run(() => this.errors.next(error));
  }

  close(): void {
    this.errors.complete();
  }
}

/** In the log, the stack of what a handler threw is worth more than that of the error that reports it. */
function stacksOf(error: PgNotifyError): readonly (string | undefined)[] {
  const stacks = errorsIn(error.cause).map(stackOf);
  return stacks.some((stack) => stack !== undefined) ? stacks : [error.stack];
}
