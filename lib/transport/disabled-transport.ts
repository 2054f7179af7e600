import { BehaviorSubject } from 'rxjs';
import type { ChannelConsumer, GapObserver } from '../listener/channel-registry.js';
import type { PgNotifyState, PgNotifyStatus } from '../listener/pg-notify-status.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { FailedNotification } from '../publisher/sending-group.js';
import type { ListeningTransport, PgNotifyTransport, SendingTransport } from './pg-notify-transport.js';

/** Stands in where the option `enabled` is false: nothing is connected, nothing comes, and nothing is sent. */
export class DisabledTransport implements PgNotifyTransport {
  readonly listener: ListeningTransport = new DisabledListener();
  readonly publisher: SendingTransport = new DisabledPublisher();
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

class DisabledListener {
  /** With their channels; those that see all gaps have none. */
  private readonly consumers = new Map<Pick<ChannelConsumer, 'complete'>, string | undefined>();
  private readonly status = new BehaviorSubject<PgNotifyStatus>(this.statusOf('disabled', new Date()));
  readonly coveredChannels: readonly string[] = [];
  readonly figures = { received: 0, discarded: 0, gaps: 0, reconnects: 0 };

  get isStopping(): boolean {
    return this.status.value.state === 'closed';
  }

  get currentStatus(): PgNotifyStatus {
    const { state, since } = this.status.value;
    return this.statusOf(state, since);
  }

  get status$() {
    return this.status.asObservable();
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  /** There is nothing to wait for. */
  ready(): Promise<void> {
    if (!this.isStopping) return Promise.resolve();
    return Promise.reject(
      new PgNotifyError('closed', 'The registration has been closed: nothing is listened to any more.'),
    );
  }

  stop(): Promise<void> {
    if (this.isStopping) return Promise.resolve();
    const consumers = [...this.consumers.keys()];
    this.consumers.clear();
    this.status.next(this.statusOf('closed', new Date()));
    for (const consumer of consumers) consumer.complete();
    this.status.complete();
    return Promise.resolve();
  }

  subscribe(channel: string, consumer: ChannelConsumer): () => void {
    return this.add(consumer, channel);
  }

  observeGaps(observer: GapObserver): () => void {
    return this.add(observer, undefined);
  }

  coveredSince(): undefined {
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

  private statusOf(state: PgNotifyState, since: Date): PgNotifyStatus {
    const channels = [...this.consumers.values()].filter((channel) => channel !== undefined);
    return { state, since, attempts: 0, gaps: 0, channels: { wanted: new Set(channels).size, acknowledged: 0 } };
  }

  private add(consumer: Pick<ChannelConsumer, 'complete'>, channel: string | undefined): () => void {
    if (this.isStopping) consumer.complete();
    else this.consumers.set(consumer, channel);
    return () => void this.consumers.delete(consumer);
  }
}
