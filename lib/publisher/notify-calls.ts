import { encodePayload } from '../channel/payload-codec.js';
import { applySchema } from '../channel/payload-schema.js';
import { toPgChannel } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import { isThenable } from '../channel/thenable.js';
import { checkExecutor } from '../executor/pg-executor.js';
import type { PgExecutor } from '../executor/pg-executor.js';
import type { PgNotifyDiagnostics } from '../pg-notify.diagnostics.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import { withDeadline } from '../session/deadline.js';
import { CallOrder } from './call-order.js';
import type { PgPublisher } from './pg-publisher.js';

export interface NotifyCallsOptions {
  readonly publisher: Pick<PgPublisher, 'publish'>;
  /** How long a schema may take to answer, in milliseconds. */
  readonly schemaTimeout: number;
  readonly diagnostics: PgNotifyDiagnostics;
  /** Is told of what was not, or perhaps not, sent; the caller is told in any case. */
  readonly onFailure: (error: PgNotifyError) => void;
}

/** The calls of `notify()`: each is checked before anything is sent, and they are sent in their order. */
export class NotifyCalls {
  private readonly order = new CallOrder();
  /** Ends the wait for schemas: nothing can be sent any more. */
  private readonly closed = new AbortController();

  constructor(private readonly options: NotifyCallsOptions) {}

  async notify(channel: string | PgChannel, payload: unknown, executor?: PgExecutor): Promise<void> {
    const definition = toPgChannel(channel);
    const { name, codec } = definition;
    const raw = encodePayload(name, codec, payload);
    const checked = this.withinTimeout(name, applySchema(definition, payload));
    if (executor === undefined) return this.order.run(checked, () => this.publish(definition, raw));
    checkExecutor('option executor of notify()', executor);
    await checked;
    await this.publish(definition, raw, executor);
  }

  /** Nothing can be sent any more. */
  close(): void {
    this.closed.abort(new PgNotifyError('closed', 'The registration has been closed: nothing was sent.'));
  }

  private async publish({ name }: PgChannel, raw: string, executor?: PgExecutor): Promise<void> {
    const { publisher, onFailure, diagnostics } = this.options;
    const begun = performance.now();
    try {
      await publisher.publish(name, raw, { executor });
    } catch (error) {
      if (error instanceof PgNotifyError && error.kind === 'publish') onFailure(error);
      throw error;
    }
    const duration = performance.now() - begun;
    diagnostics.publish('nest-pg-notify.published', { channel: name, size: raw.length, duration });
  }

  /** A schema that never answers must not keep the calls after it waiting. */
  private withinTimeout(channel: string, checked: unknown): unknown {
    if (!isThenable(checked)) return checked;
    const { schemaTimeout: timeout } = this.options;
    const expired = (): PgNotifyError =>
      new PgNotifyError(
        'payload',
        `The schema of channel ${JSON.stringify(channel)} did not answer within ${timeout} ms: nothing was sent.`,
        { channel },
      );
    return withDeadline(Promise.resolve(checked), { timeout, expired, signal: this.closed.signal });
  }
}
