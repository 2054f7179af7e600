import { BehaviorSubject } from 'rxjs';
import type { Observable } from 'rxjs';
import type { PgGap } from '../channel/pg-gap.js';
import type { RawPgNotification } from '../channel/pg-notification.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { PgNotifyReconnectOptions, PgNotifyStartupOptions } from '../pg-notify.options.js';
import { connectionFailure } from '../session/connection-failure.js';
import { Backoff } from './backoff.js';
import { ChannelReconciler } from './channel-reconciler.js';
import type { ListeningSession } from './channel-reconciler.js';
import { systemClock } from './clock.js';
import type { Clock } from './clock.js';
import type { PgNotifyFailure, PgNotifyState, PgNotifyStatus } from './pg-notify-status.js';
import { StartupPolicy } from './startup-policy.js';

/** What takes the notifications and gaps of one channel, in the order in which they came. */
export interface ChannelConsumer {
  notification(notification: RawPgNotification): void;
  gap(gap: PgGap): void;
  /** Nothing comes any more: the listener was stopped. */
  complete(): void;
}

/** What takes the gaps of all channels. */
export type GapObserver = Pick<ChannelConsumer, 'gap' | 'complete'>;

export type OpenListeningSession = (
  signal: AbortSignal,
  onNotification: (notification: RawPgNotification) => void,
) => Promise<ListeningSession>;

export interface PgListenerOptions {
  readonly openSession: OpenListeningSession;
  readonly startup: Required<PgNotifyStartupOptions>;
  readonly reconnect: Required<PgNotifyReconnectOptions>;
  /** How long the server may take to acknowledge a LISTEN, in milliseconds. */
  readonly statementTimeout: number;
  readonly logger: { log(message: string): void; warn(message: string): void };
  /** Where the error of a consumer that threw goes: it must not reach `pg`. */
  readonly onError: (error: unknown) => void;
  readonly clock?: Clock;
}

/** A session that is listening or about to, with what it has acknowledged. */
interface Link {
  readonly session: ListeningSession;
  readonly reconciler: ChannelReconciler;
  /** When all that was wanted had been acknowledged for the first time; in milliseconds of the clock. */
  listeningSince?: number;
}

/**
 * What survives sessions: the desired channels, the loop that opens one session after the other, and the status. At
 * most one session is open at a time.
 */
export class PgListener {
  private readonly clock: Clock;
  private readonly startup: StartupPolicy;
  private readonly backoff: Backoff;
  private readonly stopping = new AbortController();
  private readonly status: BehaviorSubject<PgNotifyStatus>;
  /** The desired channels, with their consumers: lists are replaced, never changed, so that one can be walked. */
  private readonly wanted = new Map<string, readonly ChannelConsumer[]>();
  /** For a channel that a lost session covered: when that session was last known to be alive. */
  private readonly coveredUntil = new Map<string, Date>();
  private readonly gapObservers = new Set<GapObserver>();
  private readonly readyWaiters = new Set<{ resolve: () => void; reject: (error: PgNotifyError) => void }>();
  private state: PgNotifyState = 'closed';
  private since = new Date();
  private attempts = 0;
  private lastFailure: PgNotifyFailure | undefined;
  private link: Link | undefined;
  private running: Promise<void> | undefined;
  private stopped: Promise<void> | undefined;

  constructor(private readonly options: PgListenerOptions) {
    this.clock = options.clock ?? systemClock;
    this.startup = new StartupPolicy(options.startup, this.clock);
    this.backoff = new Backoff(options.reconnect);
    this.status = new BehaviorSubject(this.currentStatus);
  }

  /**
   * Starts the loop, unless it runs, and waits until what is wanted now is acknowledged, as long as the startup policy
   * allows. When it does not, the listener is stopped before this rejects.
   */
  async start(): Promise<void> {
    if (!this.running && !this.isStopping) {
      this.enter('connecting');
      this.running = this.run();
    }
    try {
      await this.startup.wait(this.ready());
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Resolves once the server has acknowledged all channels that are wanted; rejects when stopped. */
  ready(): Promise<void> {
    if (this.isStopping) return Promise.reject(closedError());
    if (this.liveLink?.listeningSince !== undefined && this.liveLink.reconciler.isSettled) return Promise.resolve();
    return new Promise((resolve, reject) => this.readyWaiters.add({ resolve, reject }));
  }

  /** Ends the session and all consumers, from any state. Repeated calls return the same promise. */
  stop(): Promise<void> {
    return (this.stopped ??= this.shutDown());
  }

  /** Adds a consumer; returns the function that removes it. After a stop the consumer is completed at once. */
  subscribe(channel: string, consumer: ChannelConsumer): () => void {
    if (this.isStopping) {
      consumer.complete();
      return () => undefined;
    }
    this.wanted.set(channel, [...(this.wanted.get(channel) ?? []), consumer]);
    this.link?.reconciler.schedule();
    return () => this.unsubscribe(channel, consumer);
  }

  /** Sees every gap of every channel, after the channel's own consumers; returns the function that removes it. */
  observeGaps(observer: GapObserver): () => void {
    if (this.isStopping) observer.complete();
    else this.gapObservers.add(observer);
    return () => void this.gapObservers.delete(observer);
  }

  /**
   * When the server acknowledged the channel on the current session, undefined while it has not. It is the very object
   * that the gap announcing it carries as `until`.
   */
  coveredSince(channel: string): Date | undefined {
    return this.liveLink?.reconciler.acknowledgedAt(channel);
  }

  /** The channels that are covered now. */
  get coveredChannels(): readonly string[] {
    return this.liveLink?.reconciler.acknowledgedChannels ?? [];
  }

  get isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  get currentStatus(): PgNotifyStatus {
    const processId = this.liveLink?.session.processId;
    return {
      state: this.state,
      since: this.since,
      attempts: this.attempts,
      channels: { wanted: this.wanted.size, acknowledged: this.coveredChannels.length },
      ...(this.lastFailure && { lastFailure: this.lastFailure }),
      ...(processId !== undefined && { processId }),
    };
  }

  /** The status now, and whenever the state, the failures or the acknowledged channels change. */
  get status$(): Observable<PgNotifyStatus> {
    return this.status.asObservable();
  }

  private unsubscribe(channel: string, consumer: ChannelConsumer): void {
    const others = this.wanted.get(channel)?.filter((other) => other !== consumer) ?? [];
    if (others.length > 0) {
      this.wanted.set(channel, others);
      return;
    }
    this.wanted.delete(channel);
    this.coveredUntil.delete(channel);
    this.link?.reconciler.schedule();
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    for (;;) {
      const failure = await this.listenUntilLost(signal);
      if (signal.aborted) return;
      this.failed(failure);
      await this.clock.sleep(this.backoff.next(), signal).catch(() => undefined); // Rejects when stopped.
      if (signal.aborted) return;
    }
  }

  /** One turn of the loop: one session, from the attempt to the loss. Returns what ended it. */
  private async listenUntilLost(signal: AbortSignal): Promise<PgNotifyError> {
    let session: ListeningSession;
    try {
      session = await this.options.openSession(signal, (notification) => this.dispatch(notification));
    } catch (error) {
      return connectionFailure(error, 'the database');
    }
    if (signal.aborted) {
      await session.close();
      return closedError();
    }
    const link = this.listenOn(session);
    const failure = await session.lost;
    if (this.link === link) this.unlink(link);
    return failure;
  }

  private listenOn(session: ListeningSession): Link {
    const link: Link = {
      session,
      reconciler: new ChannelReconciler({
        session,
        wanted: this.wanted,
        timeout: this.options.statementTimeout,
        onAcknowledged: (channels, at) => this.link === link && this.cover(channels, at),
        onSettled: () => this.link === link && this.settled(link),
      }),
    };
    this.link = link;
    link.reconciler.schedule();
    return link;
  }

  /** Announces a gap to every consumer of channels that the server listens to from here on. */
  private cover(channels: readonly string[], until: Date): void {
    for (const channel of channels) {
      const consumers = this.wanted.get(channel);
      if (!consumers) continue;
      const since = this.coveredUntil.get(channel);
      this.coveredUntil.delete(channel);
      const gap: PgGap = since ? { channel, reason: 'reconnect', since, until } : { channel, reason: 'start', until };
      for (const consumer of consumers) this.guarded(() => consumer.gap(gap));
      for (const observer of this.gapObservers) this.guarded(() => observer.gap(gap));
    }
  }

  private dispatch(notification: RawPgNotification): void {
    if (!this.link?.reconciler.admits(notification.channel)) return;
    for (const consumer of this.wanted.get(notification.channel) ?? []) {
      this.guarded(() => consumer.notification(notification));
    }
  }

  private settled(link: Link): void {
    if (link.listeningSince === undefined) {
      link.listeningSince = this.clock.now();
      const { endpoint, processId } = link.session;
      const again = this.state === 'reconnecting' ? ' again' : '';
      this.options.logger.log(`Listening${again} on ${endpoint} (backend ${processId}).`);
      this.attempts = 0;
      this.enter('listening');
    } else {
      this.status.next(this.currentStatus);
    }
    for (const { resolve } of this.readyWaiters) resolve();
    this.readyWaiters.clear();
  }

  /** Remembers what a lost session had covered, so that the next one can announce the gap. */
  private unlink({ session, reconciler, listeningSince }: Link): void {
    for (const channel of reconciler.acknowledgedChannels) {
      if (this.wanted.has(channel)) this.coveredUntil.set(channel, session.lastHeardAt);
    }
    this.link = undefined;
    const upFor = listeningSince === undefined ? undefined : this.clock.now() - listeningSince;
    if (upFor !== undefined && upFor >= this.options.reconnect.stableAfter) this.backoff.reset();
  }

  private failed(error: PgNotifyError): void {
    this.attempts += 1;
    const { message, sqlState, endpoint } = error;
    this.lastFailure = { message, at: new Date(), ...(sqlState && { sqlState }), ...(endpoint && { endpoint }) };
    const endsStart = this.startup.failed(error);
    if (this.state === 'listening') {
      this.options.logger.warn(
        `Not listening any more: ${message} Reconnecting; what is missed is announced as a gap.`,
      );
      this.enter('reconnecting');
      return;
    }
    if (this.attempts === 1 && !endsStart) this.options.logger.warn(`Not listening yet: ${message} Trying again.`);
    this.status.next(this.currentStatus);
  }

  private async shutDown(): Promise<void> {
    this.stopping.abort(closedError());
    for (const { reject } of this.readyWaiters) reject(closedError());
    this.readyWaiters.clear();
    const consumers = [...[...this.wanted.values()].flat(), ...this.gapObservers];
    this.wanted.clear();
    this.gapObservers.clear();
    for (const consumer of consumers) this.guarded(() => consumer.complete());
    await this.link?.session.close();
    await this.running;
    this.enter('closed');
    this.status.complete();
  }

  private enter(state: PgNotifyState): void {
    this.state = state;
    this.since = new Date();
    this.status.next(this.currentStatus);
  }

  /** An exception that passed through `pg` would make its parser deliver again what it has delivered. */
  private guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.options.onError(error);
    }
  }

  /** The loop is told of a loss a moment after it: until then the dead session covers nothing any more. */
  private get liveLink(): Link | undefined {
    return this.link?.session.isLost ? undefined : this.link;
  }
}

function closedError(): PgNotifyError {
  return new PgNotifyError('closed', 'The registration has been closed: nothing is listened to any more.');
}
