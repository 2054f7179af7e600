import type { Observable } from 'rxjs';
import type { RawPgNotification } from '../channel/pg-notification.js';
import type { PgGapReason } from '../channel/pg-gap.js';
import { ChannelRegistry } from '../listener/channel-registry.js';
import type { ChannelConsumer, GapObserver } from '../listener/channel-registry.js';
import type { ListenerFigures } from '../listener/pg-listener.js';
import type { PgNotifyStatus } from '../listener/pg-notify-status.js';
import type { PgQueueUsage } from '../listener/queue-usage.js';
import { Readiness } from '../listener/readiness.js';
import { StatusReporter } from '../listener/status-reporter.js';
import type { PgNotifyDiagnostics } from '../pg-notify.diagnostics.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import { readFacts } from '../session/session-facts.js';
import type { ListeningTransport } from '../transport/pg-notify-transport.js';

/** The server that a test listener believes to be connected to. */
const SERVER = { endpoint: 'the test bus', facts: readFacts({ backend_pid: 1, server_version: 'test bus' }) };

/** Listens to nothing but the test. Whether a channel is covered, and what is a gap, it decides as the real one does. */
export class TestListener implements ListeningTransport {
  private readonly registry: ChannelRegistry;
  private readonly reporter: StatusReporter;
  private readonly readiness = new Readiness((channels) => channels.every((channel) => this.covered.has(channel)));
  /** When each channel was acknowledged. */
  private readonly covered = new Map<string, Date>();
  private isConnected = false;
  private isCoverScheduled = false;
  isStopping = false;

  constructor(diagnostics: PgNotifyDiagnostics) {
    const rethrow = (error: unknown): never => {
      throw error as Error;
    };
    this.registry = new ChannelRegistry(rethrow, diagnostics);
    const silent = { log: () => undefined, warn: () => undefined };
    this.reporter = new StatusReporter(silent, () => this.facts, diagnostics);
  }

  start(): Promise<void> {
    if (!this.isConnected && !this.isStopping && this.currentStatus.state === 'closed') {
      this.reporter.connecting();
      this.connect();
    }
    return Promise.resolve();
  }

  connect(): void {
    if (this.isStopping || this.isConnected) return;
    this.isConnected = true;
    this.cover();
    this.reporter.listening(SERVER);
  }

  disconnect(): void {
    if (!this.isConnected) return;
    this.isConnected = false;
    this.interrupt([...this.covered.keys()], 'reconnect');
    this.reporter.failed(new PgNotifyError('connection', 'The test bus was disconnected.'), false);
  }

  /** The channels were not listened to for a moment, and are again. */
  lapse(channel: string | undefined, reason: PgGapReason): void {
    this.cover();
    const channels = channel === undefined ? [...this.covered.keys()] : [channel];
    this.interrupt(
      channels.filter((name) => this.covered.has(name)),
      reason,
    );
    this.cover();
  }

  /** Delivers, where it is connected and somebody listens. */
  receive(notification: RawPgNotification): void {
    this.cover();
    if (this.covered.has(notification.channel)) this.registry.dispatch(notification);
  }

  ready(): Promise<void> {
    if (this.isStopping) return Promise.reject(closedError());
    return this.readiness.wait([...this.registry.wanted.keys()]);
  }

  stop(): Promise<void> {
    if (this.isStopping) return Promise.resolve();
    this.isStopping = true;
    this.isConnected = false;
    this.covered.clear();
    this.readiness.end(closedError());
    this.registry.complete();
    this.reporter.closed();
    return Promise.resolve();
  }

  subscribe(channel: string, consumer: ChannelConsumer): () => void {
    if (this.isStopping) {
      consumer.complete();
      return () => undefined;
    }
    this.registry.add(channel, consumer);
    this.coverSoon();
    return () => {
      if (this.registry.remove(channel, consumer)) this.covered.delete(channel);
    };
  }

  observeGaps(observer: GapObserver): () => void {
    if (!this.isStopping) return this.registry.observe(observer);
    observer.complete();
    return () => undefined;
  }

  coveredSince(channel: string): Date | undefined {
    return this.covered.get(channel);
  }

  get coveredChannels(): readonly string[] {
    return [...this.covered.keys()];
  }

  queueUsage(): Promise<PgQueueUsage> {
    if (this.isConnected) return Promise.resolve({ usage: 0 });
    return Promise.reject(new PgNotifyError('connection', 'The test bus is disconnected.'));
  }

  get currentStatus(): PgNotifyStatus {
    return this.reporter.current;
  }

  get status$(): Observable<PgNotifyStatus> {
    return this.reporter.changes;
  }

  get figures(): ListenerFigures {
    const { receivedCount: received, gapCount: gaps } = this.registry;
    return { received, gaps, reconnects: this.reporter.reconnects };
  }

  private get facts() {
    const { registry, covered, isConnected } = this;
    const verdict = isConnected ? ('verified' as const) : ('unknown' as const);
    return {
      gaps: registry.gapCount,
      channels: { wanted: registry.size, acknowledged: covered.size },
      delivery: { verdict, at: new Date() },
      ...(isConnected && { processId: SERVER.facts.backendPid, serverVersion: SERVER.facts.serverVersion }),
    };
  }

  private interrupt(channels: readonly string[], reason: PgGapReason): void {
    this.registry.interrupt(channels, { reason, since: new Date() });
    for (const channel of channels) this.covered.delete(channel);
  }

  /** As a server would, a moment later: all that is asked for in one turn shares an answer. */
  private coverSoon(): void {
    if (this.isCoverScheduled) return;
    this.isCoverScheduled = true;
    queueMicrotask(() => {
      this.isCoverScheduled = false;
      this.cover();
    });
  }

  /** Acknowledges what is wanted and is not covered yet. */
  private cover(): void {
    if (!this.isConnected) return;
    const channels = [...this.registry.wanted.keys()].filter((channel) => !this.covered.has(channel));
    const until = new Date();
    for (const channel of channels) this.covered.set(channel, until);
    this.registry.cover(channels, until);
    if (this.currentStatus.state === 'listening') this.reporter.listening(SERVER);
    this.readiness.update();
  }
}

function closedError(): PgNotifyError {
  return new PgNotifyError('closed', 'The registration has been closed: nothing is listened to any more.');
}
