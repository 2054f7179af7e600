import type { Observable } from 'rxjs';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import type { Acknowledgement } from './acknowledgement.js';
import { ChannelRegistry } from './channel-registry.js';
import type { ChannelConsumer, GapObserver } from './channel-registry.js';
import type { ListenerFigures, ListeningTransport } from './listening-transport.js';
import type { PgNotifyStatus } from './pg-notify-status.js';
import type { PgQueueUsage } from './queue-usage.js';
import { Readiness } from './readiness.js';
import { StatusReporter } from './status-reporter.js';
import type { ListenerFacts } from './status-reporter.js';

/**
 * The common part of all listeners: the wanted channels and their consumers, pending `ready()` calls, the status and
 * the figures. A subclass decides whether a channel is covered, and when there is a gap.
 */
export abstract class ListenerFront implements ListeningTransport {
  protected readonly registry: ChannelRegistry;
  protected readonly reporter: StatusReporter;
  protected readonly readiness = new Readiness((channels) => this.isReady(channels));
  private readonly stopping = new AbortController();
  private stopped: Promise<void> | undefined;

  constructor(protected readonly context: RegistrationContext) {
    this.registry = new ChannelRegistry(context);
    this.reporter = new StatusReporter(context, () => this.facts);
  }

  abstract start(): Promise<void>;

  abstract acknowledgementOf(channel: string): Acknowledgement | undefined;

  abstract queueUsage(): Promise<PgQueueUsage>;

  abstract get coveredChannels(): readonly string[];

  ready(): Promise<void> {
    if (this.isStopping) return Promise.reject(closedError());
    return this.readiness.wait([...this.registry.wanted.keys()]);
  }

  stop(): Promise<void> {
    return (this.stopped ??= this.shutDown());
  }

  subscribe(channel: string, consumer: ChannelConsumer): () => void {
    if (this.isStopping) {
      consumer.complete();
      return () => undefined;
    }
    this.registry.add(channel, consumer);
    this.wantedChanged(channel);
    return () => {
      if (this.registry.remove(channel, consumer)) this.wantedChanged(channel);
    };
  }

  observeGaps(observer: GapObserver): () => void {
    if (!this.isStopping) return this.registry.observe(observer);
    observer.complete();
    return () => undefined;
  }

  get isStopping(): boolean {
    return this.stopSignal.aborted;
  }

  get currentStatus(): PgNotifyStatus {
    return this.reporter.current;
  }

  get status$(): Observable<PgNotifyStatus> {
    return this.reporter.changes;
  }

  get figures(): ListenerFigures {
    const { receivedCount: received, discardedCount: discarded, gapCount: gaps } = this.registry;
    return { received, discarded, gaps, reconnects: this.reporter.reconnects };
  }

  /** Aborted by stop(), with the error that callers get from then on. */
  protected get stopSignal(): AbortSignal {
    return this.stopping.signal;
  }

  /** Whether it is connected, and its first channels are acknowledged. */
  protected abstract get isListening(): boolean;

  /** Whether a wanted channel needs no more waiting: it is acknowledged or refused. */
  protected abstract isDecided(channel: string): boolean;

  /** The part of the status that only the subclass knows. */
  protected abstract get connectionFacts(): Pick<PgNotifyStatus, 'delivery' | 'processId' | 'serverVersion'>;

  /** Called when a channel has got its first consumer or may have lost its last one. */
  protected abstract wantedChanged(channel: string): void;

  /** Ends the connection, if there is one. The stop signal is aborted and all consumers are completed by then. */
  protected abstract end(): Promise<void> | undefined;

  /** The error for pending calls when the listener is stopped. */
  protected closedError(): PgNotifyError {
    return closedError();
  }

  private get facts(): ListenerFacts {
    const channels = { wanted: this.registry.size, acknowledged: this.coveredChannels.length };
    return { gaps: this.registry.gapCount, channels, ...this.connectionFacts };
  }

  /** Whether each of these channels is acknowledged, refused or no longer wanted. */
  private isReady(channels: readonly string[]): boolean {
    const isPending = (channel: string): boolean => !this.isDecided(channel) && this.registry.wanted.has(channel);
    // The last ones are acknowledged last, so of many channels the first one looked at is pending.
    return this.isListening && channels.findLast(isPending) === undefined;
  }

  private async shutDown(): Promise<void> {
    const closed = this.closedError();
    this.stopping.abort(closed);
    this.readiness.end(closed);
    this.registry.complete();
    const ended = this.end();
    if (ended) await ended;
    this.reporter.closed();
  }
}

function closedError(): PgNotifyError {
  return new PgNotifyError('closed', 'The registration has been closed: nothing is listened to any more.');
}
