import { encodePayload } from '../channel/payload-codec.js';
import { applySchema } from '../channel/payload-schema.js';
import { channelProperties } from '../channel/pg-channel.js';
import type { ChannelProperties, PgChannel } from '../channel/pg-channel.js';
import { isThenable } from '../channel/thenable.js';
import { callExecutor } from '../executor/call-executor.js';
import type { CallOptions, CurrentExecutor } from '../executor/call-executor.js';
import { isExecutor } from '../executor/pg-executor.js';
import type { PgExecutor } from '../executor/pg-executor.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import { withDeadline } from '../time/deadline.js';
import { CallOrder } from './call-order.js';
import { ManyNotifications } from './many-notifications.js';
import type { PgPublisher } from './pg-publisher.js';
import { closedError, manyPublishError, publishError } from './publish-error.js';
import type { FailedNotification } from './sending-group.js';

export interface NotifyCallsOptions {
  readonly publisher: Pick<PgPublisher, 'publish' | 'publishMany' | 'waiting' | 'close'>;
  /**
   * The number of notifications that may wait. An array counts as one per thousand, and is taken whole if one may wait.
   */
  readonly maxWaiting: number;
  /** Returns the transaction in which a call is made. */
  readonly currentExecutor?: CurrentExecutor | undefined;
}

/** The calls of `notify()` and `notifyMany()`. Each is checked before it is sent, and they are sent in their order. */
export class NotifyCalls {
  private readonly order = new CallOrder();
  private closed: Promise<void> | undefined;

  constructor(
    private readonly options: NotifyCallsOptions,
    private readonly context: Pick<RegistrationContext, 'clock' | 'diagnostics' | 'errors'>,
  ) {}

  async notify(channel: string | PgChannel, payload: unknown, options?: CallOptions): Promise<void> {
    const definition = channelProperties(channel);
    const executor = callExecutor('notify()', options, this.options.currentExecutor);
    if (isOptions(payload)) {
      const message = `The payload for channel ${JSON.stringify(definition.name)} looks like the options: write notify(channel, undefined, { executor: … }).`;
      throw new PgNotifyError('configuration', message, { channel: definition.name });
    }
    if (executor === undefined) this.checkRoom(definition.name);
    const raw = this.check(definition, payload);
    // At once, because the caller's next statement must come after this one.
    if (executor) await this.publish(definition, raw, executor);
    else await this.order.run(() => this.publish(definition, raw));
  }

  /**
   * Sends several notifications part by part, so that a long array neither blocks the event loop nor fills the queue.
   *
   * @throws PgNotifyError with all notifications that were not, or perhaps not, sent.
   */
  async notifyMany(channel: string | PgChannel, payloads: readonly unknown[], options?: CallOptions): Promise<void> {
    const definition = channelProperties(channel);
    const { name } = definition;
    if (!Array.isArray(payloads)) {
      const found = isThenable(payloads) ? 'a promise: await it' : payloads === null ? 'null' : typeof payloads;
      throw new PgNotifyError('payload', `notifyMany() takes an array of payloads, not ${found}.`, { channel: name });
    }
    const executor = callExecutor('notifyMany()', options, this.options.currentExecutor);
    if (executor === undefined) this.checkRoom(name);
    const many = new ManyNotifications(payloads, {
      check: (payload) => this.check(definition, payload),
      publish: (raws) => this.publishMany(definition, raws, executor),
      // An error of class 22 concerns the data of one notification; but it aborts a transaction.
      isLasting: (error) => error.kind !== 'payload' && (executor !== undefined || !error.sqlState?.startsWith('22')),
      // One part is with the server and one waits. The caller's connection takes one statement at a time.
      ahead: executor ? 1 : 2,
    });
    if (executor) await many.handOn();
    else await this.order.runParts(many.count, (onPart) => many.handOn(onPart));
    const failures = await many.settled();
    const [first] = failures;
    if (!first) return;
    // It concerns all of them: an asynchronous schema, or an invalid executor.
    if (first.error.kind === 'configuration' && failures.length === payloads.length) throw first.error;
    const error = manyPublishError(name, payloads.length, failures);
    if (error.kind === 'publish') this.context.errors.tell(error);
    throw error;
  }

  /**
   * Refuses further calls, sends the earlier ones as far as that is possible within `timeout` milliseconds, and closes
   * the publisher. Never rejects; repeated calls return the same promise.
   */
  close(timeout: number): Promise<void> {
    return (this.closed ??= this.finish(timeout));
  }

  private async finish(timeout: number): Promise<void> {
    const { clock } = this.context;
    const begun = clock.now();
    const expired = (): Error => new Error(`Not handed on within ${timeout} ms`);
    // A timer may fire a fraction of a millisecond early, so only the deadline decides whether the time is over.
    const isOver = await withDeadline(this.order.settled(), { timeout, expired }).then(
      () => false,
      () => true,
    );
    // Without remaining time the publisher refuses the rest.
    await this.options.publisher.close(isOver ? 0 : Math.max(0, timeout - (clock.now() - begun)));
  }

  /** @throws PgNotifyError if no more notifications may wait. */
  private checkRoom(channel: string): void {
    if (this.closed) throw closedError(channel);
    const { publisher, maxWaiting } = this.options;
    if (this.order.waiting + publisher.waiting < maxWaiting) return;
    const reason = new Error(
      `${maxWaiting} notifications are already waiting to be sent. Await notify() before you call it again, or raise publisher.maxWaiting.`,
    );
    const error = publishError(channel, reason, 'not-sent');
    this.context.errors.tell(error);
    throw error;
  }

  /**
   * Checks a payload, and returns its text.
   *
   * @throws PgNotifyError of kind `payload`, or of kind `configuration` if the schema is asynchronous.
   */
  private check(definition: ChannelProperties, payload: unknown): string {
    const raw = encodePayload(definition.name, definition.codec, payload);
    applySchema(definition, payload);
    return raw;
  }

  private async publish({ name, fold }: ChannelProperties, raw: string, executor?: PgExecutor): Promise<void> {
    const { publisher } = this.options;
    const { clock, diagnostics, errors } = this.context;
    const isWatched = diagnostics.isWatched('nest-pg-notify.published');
    const begun = isWatched ? clock.now() : 0;
    try {
      await publisher.publish(name, raw, { executor, fold });
    } catch (error) {
      if (error instanceof PgNotifyError && error.kind === 'publish') errors.tell(error);
      throw error;
    }
    if (!isWatched) return;
    const duration = clock.now() - begun;
    diagnostics.publish('nest-pg-notify.published', {
      channel: name,
      kind: 'notification',
      size: raw.length,
      duration,
    });
  }

  private async publishMany(
    { name, fold }: ChannelProperties,
    raws: readonly string[],
    executor: PgExecutor | undefined,
  ): Promise<readonly FailedNotification[]> {
    const { publisher } = this.options;
    const { clock, diagnostics } = this.context;
    const begun = clock.now();
    const failures = await publisher.publishMany(name, raws, { executor, fold });
    if (diagnostics.isWatched('nest-pg-notify.published')) {
      const duration = clock.now() - begun;
      const failed = new Set(failures.map(({ index }) => index));
      for (const [index, { length: size }] of raws.entries()) {
        if (failed.has(index)) continue;
        diagnostics.publish('nest-pg-notify.published', { channel: name, kind: 'notification', size, duration });
      }
    }
    return failures;
  }
}

/** Whether the options were written in the place of the payload. An executor is never a payload. */
function isOptions(payload: unknown): boolean {
  if (typeof payload !== 'object' || payload === null || !('executor' in payload)) return false;
  return Object.keys(payload).length === 1 && isExecutor(payload.executor);
}
