import { ReceivedNotification } from '../channel/pg-notification.js';
import { decodePayload } from '../channel/payload-codec.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import type { PgExecutor } from '../executor/pg-executor.js';
import type { PgNotifyTransport, SendingTransport, SettlingConsumers } from '../transport/pg-notify-transport.js';
import { TestListener } from './test-listener.js';

/** A notification that the application has sent. */
export interface SentPgNotification<T = unknown> {
  readonly channel: string;
  readonly payload: T;
  /** The payload's text, as PostgreSQL would get it. */
  readonly raw: string;
  /** The executor that `notify()` was given. It is not called; the notification counts as committed at once. */
  readonly executor?: PgExecutor;
}

/** The pids of the senders of notifications, which are never the listening session. */
const OWN_PROCESS = 2;
const OTHER_PROCESS = 3;

/** The transport of a test bus for one registration. */
export class TestTransport implements PgNotifyTransport {
  readonly listener: TestListener;
  readonly publisher: SendingTransport;
  readonly replacesPostgres = true;
  /** The notifications that the application has sent. */
  readonly sent: SentPgNotification[] = [];
  private consumers: SettlingConsumers | undefined;
  private isClosed = false;

  /** @param checkUse Throws if it must not be started. */
  constructor(context: RegistrationContext, checkUse: () => void) {
    this.listener = new TestListener(context, checkUse);
    this.publisher = {
      waiting: 0,
      publish: (channel, raw, options) => this.publish(channel, raw, options?.executor),
      publishMany: (channel, raws, options) => this.publishMany(channel, raws, options?.executor),
      close: () => {
        this.isClosed = true;
        return Promise.resolve();
      },
    };
  }

  serve(consumers: SettlingConsumers): void {
    this.consumers = consumers;
  }

  /** Resolves when the consumers have handled everything that they were given. */
  async settled(): Promise<void> {
    await this.consumers?.settled();
  }

  /** Delivers a notification of another session. */
  receive(channel: string, raw: string): void {
    this.listener.receive(new ReceivedNotification(channel, raw, OTHER_PROCESS, new Date()));
  }

  private async publishMany(channel: string, raws: readonly string[], executor?: PgExecutor) {
    const results = await Promise.allSettled(raws.map((raw) => this.publish(channel, raw, executor)));
    return results.flatMap((result, index) =>
      result.status === 'rejected' ? [{ index, error: result.reason as PgNotifyError }] : [],
    );
  }

  private async publish(channel: string, raw: string, executor?: PgExecutor): Promise<void> {
    await Promise.resolve(); // As with a server, nothing arrives before the call has returned.
    if (this.isClosed) {
      const message = `Nothing can be sent to channel ${JSON.stringify(channel)}: the registration has been closed.`;
      throw new PgNotifyError('closed', message);
    }
    const payload = decodePayload(channel, 'auto', raw);
    this.sent.push({ channel, raw, payload, ...(executor && { executor }) });
    this.listener.receive(new ReceivedNotification(channel, raw, OWN_PROCESS, new Date()));
  }
}
