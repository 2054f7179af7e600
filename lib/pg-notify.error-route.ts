import { Subject } from 'rxjs';
import type { Observable } from 'rxjs';
import { PgNotifyAsyncContext } from './pg-notify.async-context.js';
import type { PgNotifyDiagnostics } from './pg-notify.diagnostics.js';
import { errorsIn, isPgNotifyError, messageOf, PgNotifyError, stackOf } from './pg-notify.errors.js';
import type { PgNotifyLogger } from './pg-notify.logger.js';

/** Where everything goes that failed and has no caller to tell: the log, once, and whoever subscribes. */
export class PgNotifyErrorRoute {
  private readonly errors = new Subject<PgNotifyError>();
  private readonly context = new PgNotifyAsyncContext();

  constructor(
    private readonly logger: PgNotifyLogger,
    private readonly diagnostics: PgNotifyDiagnostics,
  ) {}

  /** The errors as they come; it never fails, and completes when the registration is closed. */
  get errors$(): Observable<PgNotifyError> {
    return this.errors.asObservable();
  }

  /** Logs the error, and tells the subscribers. What is not ours yet becomes an error of kind `handler`. */
  report(thrown: unknown): void {
    const error = isPgNotifyError(thrown) ? thrown : new PgNotifyError('handler', messageOf(thrown), { cause: thrown });
    this.logger.error(error, error.kind === 'handler' ? stacksOf(error) : undefined);
    this.tell(error);
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
