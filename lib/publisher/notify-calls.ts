import { encodePayload } from '../channel/payload-codec.js';
import { applySchema } from '../channel/payload-schema.js';
import { toSendingChannel } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import { isThenable } from '../channel/thenable.js';
import { callExecutor } from '../executor/call-executor.js';
import type { CurrentExecutor } from '../executor/call-executor.js';
import type { PgExecutor } from '../executor/pg-executor.js';
import type { PgNotifyDiagnostics } from '../pg-notify.diagnostics.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import { withDeadline } from '../session/deadline.js';
import { CallOrder } from './call-order.js';
import { ManyNotifications } from './many-notifications.js';
import type { PgPublisher } from './pg-publisher.js';
import { manyPublishError } from './publish-error.js';
import type { FailedNotification } from './sending-group.js';

export interface NotifyCallsOptions {
  readonly publisher: Pick<PgPublisher, 'publish' | 'publishMany'>;
  /** How long a schema may take to answer, in milliseconds. */
  readonly schemaTimeout: number;
  /** Tells the transaction that a call is made in. */
  readonly currentExecutor?: CurrentExecutor | undefined;
  readonly diagnostics: PgNotifyDiagnostics;
  /** Is told of what was not, or perhaps not, sent; the caller is told in any case. */
  readonly onFailure: (error: PgNotifyError) => void;
}

type SendingChannel = ReturnType<typeof toSendingChannel>;

/** The calls of `notify()` and `notifyMany()`: each is checked before anything is sent, and they are sent in their order. */
export class NotifyCalls {
  private readonly order = new CallOrder();
  /** Ends the wait for schemas: nothing can be sent any more. */
  private readonly closed = new AbortController();

  constructor(private readonly options: NotifyCallsOptions) {}

  async notify(channel: string | PgChannel, payload: unknown, given?: PgExecutor | false): Promise<void> {
    const definition = toSendingChannel(channel);
    const executor = callExecutor('notify()', given, this.options.currentExecutor);
    const raw = this.check(definition, payload);
    if (executor) await this.publish(definition, await raw, executor);
    else await this.order.run(raw, (ready) => this.publish(definition, ready));
  }

  /**
   * Sends several, part by part: a long array must neither hold up the event loop nor fill what waits.
   *
   * @throws PgNotifyError that tells of all that were not, or perhaps not, sent.
   */
  async notifyMany(
    channel: string | PgChannel,
    payloads: readonly unknown[],
    given?: PgExecutor | false,
  ): Promise<void> {
    const definition = toSendingChannel(channel);
    if (!Array.isArray(payloads)) {
      throw new PgNotifyError('payload', `notifyMany() takes an array of payloads; it got a ${typeof payloads}.`, {
        channel: definition.name,
      });
    }
    const executor = callExecutor('notifyMany()', given, this.options.currentExecutor);
    const failures = await new ManyNotifications(payloads, {
      check: (payload) => this.check(definition, payload),
      publish: (raws) => this.publishMany(definition, raws, executor),
      // One part with the server and one that waits; the caller's connection takes one statement at a time.
      ahead: executor ? 1 : 2,
      inTurn: (ready, work) => (executor ? Promise.resolve(ready).then(work) : this.order.run(ready, work)),
    }).send();
    if (failures.length === 0) return;
    const error = manyPublishError(definition.name, payloads.length, failures);
    if (error.kind === 'publish') this.options.onFailure(error);
    throw error;
  }

  /** Nothing can be sent any more. */
  close(): void {
    this.closed.abort(new PgNotifyError('closed', 'The registration has been closed: nothing was sent.'));
  }

  /**
   * The text of a payload; a promise only where the schema returns one.
   *
   * @throws PgNotifyError of kind `payload`.
   */
  private check(definition: SendingChannel, payload: unknown): string | Promise<string> {
    const raw = encodePayload(definition.name, definition.codec, payload);
    const checked = applySchema(definition, payload);
    return isThenable(checked) ? this.withinTimeout(definition.name, checked).then(() => raw) : raw;
  }

  private async publish({ name, fold }: SendingChannel, raw: string, executor?: PgExecutor): Promise<void> {
    const { publisher, onFailure, diagnostics } = this.options;
    const isWatched = diagnostics.isWatched('nest-pg-notify.published');
    const begun = isWatched ? performance.now() : 0;
    try {
      await publisher.publish(name, raw, { executor, fold });
    } catch (error) {
      if (error instanceof PgNotifyError && error.kind === 'publish') onFailure(error);
      throw error;
    }
    if (!isWatched) return;
    const duration = performance.now() - begun;
    diagnostics.publish('nest-pg-notify.published', { channel: name, size: raw.length, duration });
  }

  private async publishMany(
    { name, fold }: SendingChannel,
    raws: readonly string[],
    executor: PgExecutor | undefined,
  ): Promise<readonly FailedNotification[]> {
    const { publisher, diagnostics } = this.options;
    const begun = performance.now();
    const failures = await publisher.publishMany(name, raws, { executor, fold });
    if (diagnostics.isWatched('nest-pg-notify.published')) {
      const duration = performance.now() - begun;
      const failed = new Set(failures.map(({ index }) => index));
      for (const [index, { length: size }] of raws.entries()) {
        if (!failed.has(index)) diagnostics.publish('nest-pg-notify.published', { channel: name, size, duration });
      }
    }
    return failures;
  }

  /** A schema that never answers must not keep the calls after it waiting. */
  private withinTimeout(channel: string, checked: PromiseLike<unknown>): Promise<unknown> {
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
