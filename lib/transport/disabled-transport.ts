import { BehaviorSubject } from 'rxjs';
import type { ChannelConsumer, GapObserver } from '../listener/channel-registry.js';
import type { PgNotifyStatus } from '../listener/pg-notify-status.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { ListeningTransport, PgNotifyTransport, SendingTransport } from './pg-notify-transport.js';

/** Stands in where the option `enabled` is false: nothing is connected, nothing comes, and nothing is sent. */
export class DisabledTransport implements PgNotifyTransport {
  readonly listener: ListeningTransport = new DisabledListener();
  readonly publisher: SendingTransport = {
    publish: (channel) =>
      Promise.reject(
        new PgNotifyError(
          'publish',
          `Nothing was sent to channel ${JSON.stringify(channel)}: the option enabled of PgNotifyModule is false.`,
          { channel, outcome: 'not-sent' },
        ),
      ),
    close: () => Promise.resolve(),
  };
}

class DisabledListener {
  private readonly consumers = new Set<Pick<ChannelConsumer, 'complete'>>();
  private readonly status: BehaviorSubject<PgNotifyStatus>;
  isStopping = false;
  readonly coveredChannels: readonly string[] = [];
  readonly figures = { received: 0, gaps: 0, reconnects: 0 };

  constructor() {
    const channels = { wanted: 0, acknowledged: 0 };
    this.status = new BehaviorSubject<PgNotifyStatus>({
      state: 'disabled',
      since: new Date(),
      attempts: 0,
      gaps: 0,
      channels,
    });
  }

  get currentStatus(): PgNotifyStatus {
    return this.status.value;
  }

  get status$() {
    return this.status.asObservable();
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  /** There is nothing to wait for. */
  ready(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.isStopping = true;
    for (const consumer of this.consumers) consumer.complete();
    this.consumers.clear();
    this.status.complete();
    return Promise.resolve();
  }

  subscribe(_channel: string, consumer: ChannelConsumer): () => void {
    return this.add(consumer);
  }

  observeGaps(observer: GapObserver): () => void {
    return this.add(observer);
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

  private add(consumer: Pick<ChannelConsumer, 'complete'>): () => void {
    if (this.isStopping) consumer.complete();
    else this.consumers.add(consumer);
    return () => void this.consumers.delete(consumer);
  }
}
