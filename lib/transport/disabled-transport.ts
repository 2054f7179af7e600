import { ListenerFront } from '../listener/listener-front.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import type { FailedNotification } from '../publisher/sending-group.js';
import type { ListeningTransport, PgNotifyTransport, SendingTransport } from './pg-notify-transport.js';

/** The transport if the option `enabled` is false: it neither connects nor receives nor sends. */
export class DisabledTransport implements PgNotifyTransport {
  readonly listener: ListeningTransport;
  readonly publisher: SendingTransport = new DisabledPublisher();

  constructor(context: RegistrationContext) {
    this.listener = new DisabledListener(context);
  }
}

class DisabledPublisher {
  readonly waiting = 0;
  private isClosed = false;

  publish(channel: string): Promise<void> {
    return Promise.reject(this.refusal(channel));
  }

  publishMany(channel: string, raws: readonly string[]): Promise<readonly FailedNotification[]> {
    const error = this.refusal(channel);
    return Promise.resolve(raws.map((_, index) => ({ index, error })));
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }

  private refusal(channel: string): PgNotifyError {
    const nothing = `Nothing can be sent to channel ${JSON.stringify(channel)}:`;
    if (this.isClosed) return new PgNotifyError('closed', `${nothing} the registration has been closed.`);
    const message = `${nothing} the option enabled of PgNotifyModule is false. Set it to true, or do not call notify() there.`;
    return new PgNotifyError('publish', message, { channel, outcome: 'not-sent' });
  }
}

class DisabledListener extends ListenerFront {
  readonly coveredChannels: readonly string[] = [];
  protected readonly isListening = true;
  protected readonly connectionFacts = {};

  constructor(context: RegistrationContext) {
    super(context);
    this.reporter.disabled();
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  acknowledgementOf(): undefined {
    return undefined;
  }

  queueUsage(): Promise<never> {
    return Promise.reject(
      new PgNotifyError(
        'connection',
        'There is no connection to ask on: the option enabled of PgNotifyModule is false.',
      ),
    );
  }

  /** There is nothing to wait for. */
  protected isDecided(): boolean {
    return true;
  }

  protected wantedChanged(): void {
    // There are no channels to listen to.
  }

  protected end(): undefined {
    // There is no connection to end.
  }
}
