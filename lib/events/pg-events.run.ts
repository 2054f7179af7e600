import { definePgChannel } from '../channel/pg-channel.js';
import type { DecodedChannels } from '../consumers/decoded-channels.js';
import { EventConsumer } from '../event-log/event-consumer.js';
import { EventRetention } from '../event-log/event-retention.js';
import { isPgNotifyError, messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { PgNotifyParts } from '../pg-notify.parts.js';
import { Backoff } from '../time/backoff.js';
import { withDeadline } from '../time/deadline.js';
import type { EventHandler } from './event-handlers.js';
import type { EventLog } from './event-log.js';
import type { ResolvedPgEventsOptions } from './pg-events.resolved-options.js';

/** How long a shutdown waits for consumers to give up their leases, in milliseconds. */
const RELEASE_TIMEOUT = 1_000;

/** Runs one event log: starts and stops its consumers, their wake-ups and the retention. */
export class PgEventsRun {
  /** Whether this application has consumers, be they running or not yet. */
  hasConsumers = false;
  private readonly consumers: EventConsumer[] = [];
  private readonly closing = new AbortController();
  private retention: EventRetention | undefined;
  private ignoreWakeUps: () => void = () => undefined;
  private hasEnded = false;
  private stopped: Promise<void> | undefined;

  constructor(
    private readonly parts: PgNotifyParts,
    private readonly log: EventLog,
    private readonly options: ResolvedPgEventsOptions,
  ) {}

  /**
   * Checks the tables and starts the consumers. The registration's startup policy decides how long it retries, or that it
   * continues in the background.
   *
   * @param handlers Undefined if this application does not consume.
   * @throws PgNotifyError with the reason why the application cannot start; of kind `closed` if it was stopped meanwhile.
   */
  async start(handlers: readonly EventHandler[] | undefined): Promise<void> {
    this.hasConsumers = handlers !== undefined && handlers.length > 0;
    const { mode, timeout } = this.parts.options.startup;
    if (mode === 'background') {
      void this.openUntil(Infinity, handlers).catch(() => undefined); // Rejects only after giveUp().
      return;
    }
    await this.openUntil(mode === 'fail' ? 0 : timeout, handlers);
  }

  /** Starts no more runs. Current runs are finished. */
  end(): void {
    this.hasEnded = true;
    this.ignoreWakeUps();
    this.retention?.stop();
    for (const consumer of this.consumers) consumer.end();
  }

  /** Aborts a start that is still retrying. */
  giveUp(): void {
    this.closing.abort(new PgNotifyError('closed', 'The event log is being closed.'));
  }

  /** Stops everything and closes the sessions. Never rejects; repeated calls return the same promise. */
  stop(): Promise<void> {
    return (this.stopped ??= this.finish());
  }

  private async finish(): Promise<void> {
    this.end();
    this.giveUp();
    const settled = Promise.all(this.consumers.map((consumer) => consumer.settled()));
    const expired = (): Error => new Error('A consumer has not given up its lease.'); // Ignored: the lease expires.
    await withDeadline(settled, { timeout: RELEASE_TIMEOUT, expired }).catch(() => undefined);
    await this.log.close();
  }

  /** Retries until it succeeds, or until the next attempt would start more than `patience` milliseconds after the first. */
  private async openUntil(patience: number, handlers: readonly EventHandler[] | undefined): Promise<void> {
    const { consumers, options, errors } = this.parts;
    const { clock } = consumers.context;
    const { signal } = this.closing;
    const backoff = new Backoff(options.reconnect);
    const deadline = clock.now() + patience;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.open(handlers);
        return;
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        const isPermanent = isPgNotifyError(error) && error.permanent === true;
        const delay = backoff.next();
        if (patience !== Infinity && (isPermanent || clock.now() + delay > deadline)) throw error;
        if (attempt === 1) errors.report(error);
        await clock.sleep(isPermanent ? options.reconnect.maxDelay : delay, signal);
      }
    }
  }

  private async open(handlers: readonly EventHandler[] | undefined): Promise<void> {
    const { store } = this.log;
    await store.check();
    if (!handlers) return;
    if (handlers.length > 0) {
      await store.register(
        handlers.map(({ from, definition: { name, shards, channels } }) => ({
          consumer: name,
          shards,
          channels: channels.map((channel) => channel.name),
          from,
        })),
      );
    }
    if (this.hasEnded) return;
    this.consume(handlers);
    void this.warnOfOthers(new Set(handlers.map(({ definition }) => definition.name)));
  }

  private consume(handlers: readonly EventHandler[]): void {
    const { store } = this.log;
    const { channels, handlers: connected, context } = this.parts.consumers;
    for (const { definition } of handlers) {
      const consumer = connected.connectOther((parts) => new EventConsumer(definition, { ...parts, store }));
      this.consumers.push(consumer);
    }
    if (handlers.length > 0) this.awaitWakeUps(channels);
    for (const consumer of this.consumers) consumer.start();
    const { retention } = this.options;
    if (retention === 0) return;
    const { clock, errors } = context;
    this.retention = new EventRetention({ store, retention, clock, errors, consumes: this.hasConsumers });
    void this.retention.run(); // Never rejects.
  }

  private awaitWakeUps(channels: DecodedChannels): void {
    const { log, consumers } = this;
    const wake = (channel?: string): void => {
      for (const consumer of consumers) consumer.wake(channel);
    };
    if (log.serve) {
      log.serve({
        wake,
        settled: async () => void (await Promise.all(consumers.map((consumer) => consumer.settled()))),
      });
      return;
    }
    // The payload is the channel of the new events. It is empty if other state has changed.
    this.ignoreWakeUps = channels.subscribe(definePgChannel(this.options.schema, { codec: 'text' }), {
      notification: ({ payload }) => wake(payload),
      gap: () => wake(),
    });
  }

  /** Warns of consumers that may be abandoned, because the log keeps their unhandled events. Never rejects. */
  private async warnOfOthers(own: ReadonlySet<string>): Promise<void> {
    const { logger } = this.parts;
    try {
      const states = await this.log.store.consumers();
      const others = states.filter(({ consumer, owner }) => owner === undefined && !own.has(consumer));
      for (const name of new Set(others.map(({ consumer }) => consumer))) {
        logger.warn(
          `The event log ${this.options.schema} knows the consumer '${name}', which no instance runs and no method of this application has: was it renamed? ` +
            `It begins where it stopped when its name comes back; until then its events are kept. If it is not needed: npx nest-pg-notify events drop ${JSON.stringify(name)}.`,
        );
      }
    } catch (error) {
      logger.debug(`The consumers of the event log could not be listed: ${messageOf(error)}`);
    }
  }
}
