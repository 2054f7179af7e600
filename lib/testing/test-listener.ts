import type { PgGapReason } from '../channel/pg-gap.js';
import type { ReceivedNotification } from '../channel/pg-notification.js';
import { Acknowledgement } from '../listener/acknowledgement.js';
import { ListenerFront } from '../listener/listener-front.js';
import type { PgDeliveryVerdict } from '../listener/delivery-verdict.js';
import type { PgQueueUsage } from '../listener/queue-usage.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import { SILENT_LOGGER } from '../pg-notify.registration-context.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import { soon } from '../time/clock.js';
import { readFacts } from '../session/session-facts.js';

/** The server that a test listener pretends to be connected to. */
const SERVER = { endpoint: 'the test bus', facts: readFacts({ backend_pid: 1, server_version: 'test bus' }) };

/** Listens to a test. It decides like the real listener whether a channel is covered, and when there is a gap. */
export class TestListener extends ListenerFront {
  private readonly covered = new Map<string, Acknowledgement>();
  /** The calls that wait until the current one has returned. */
  private readonly news: (() => void)[] = [];
  private isTelling = false;
  private delivery: PgDeliveryVerdict = { verdict: 'unknown', at: new Date() };
  private isConnected = false;
  private isCoverScheduled = false;
  /** The number of events so far. */
  events = 0;

  /** @param checkUse Throws if it must not be started. */
  constructor(
    context: RegistrationContext,
    private readonly checkUse: () => void,
  ) {
    // Without a log: a test loses the connection on purpose.
    super({ ...context, logger: SILENT_LOGGER });
  }

  /** Whether an application is using it. */
  get isRunning(): boolean {
    return this.currentStatus.state !== 'closed';
  }

  async start(): Promise<void> {
    this.checkUse();
    if (!this.isStopping && !this.isRunning) {
      this.reporter.connecting();
      this.connect();
    }
    if (this.isConnected) await this.ready();
  }

  connect(): void {
    this.inTurn(() => {
      if (this.isStopping || this.isConnected || !this.isRunning) return;
      this.isConnected = true;
      this.delivery = { verdict: 'verified', at: new Date() };
      this.cover();
      this.reporter.listening(SERVER);
    });
  }

  disconnect(): void {
    this.inTurn(() => {
      if (!this.isConnected) return;
      this.isConnected = false;
      this.delivery = { verdict: 'unknown', at: new Date() };
      this.interrupt([...this.covered.keys()], 'reconnect');
      const { endpoint } = SERVER;
      this.reporter.failed(new PgNotifyError('connection', 'The test bus was disconnected.', { endpoint }), false);
    });
  }

  /** The channels were not listened to for a moment, and are again. */
  lapse(channel: string | undefined, reason: PgGapReason): void {
    this.inTurn(() => {
      this.cover();
      const channels = [...this.covered.keys()].filter((name) => channel === undefined || channel === name);
      this.interrupt(channels, reason);
      this.cover();
    });
  }

  /** Delivers a notification if it is connected and the channel has consumers. */
  receive(notification: ReceivedNotification): void {
    this.inTurn(() => {
      this.cover();
      if (this.covered.has(notification.channel)) this.registry.dispatch(notification);
    });
  }

  acknowledgementOf(channel: string): Acknowledgement | undefined {
    return this.covered.get(channel);
  }

  get coveredChannels(): readonly string[] {
    return [...this.covered.keys()];
  }

  queueUsage(): Promise<PgQueueUsage> {
    if (this.isConnected) return Promise.resolve({ usage: 0 });
    return Promise.reject(new PgNotifyError('connection', 'There is no listening connection to ask on.'));
  }

  protected get isListening(): boolean {
    return this.isConnected;
  }

  protected isDecided(channel: string): boolean {
    return this.covered.has(channel);
  }

  protected get connectionFacts() {
    const { backendPid: processId, serverVersion } = SERVER.facts;
    return { delivery: this.delivery, ...(this.isConnected && { processId, serverVersion }) };
  }

  protected wantedChanged(channel: string): void {
    if (!this.registry.wanted.has(channel)) this.covered.delete(channel);
    this.coverSoon();
  }

  protected end(): undefined {
    this.isConnected = false;
    this.covered.clear();
  }

  /** As with a server, the consequences of a consumer's call come after the calls of all consumers. */
  private inTurn(tell: () => void): void {
    this.events += 1;
    this.news.push(tell);
    if (this.isTelling) return;
    this.isTelling = true;
    for (let next = this.news.shift(); next; next = this.news.shift()) next();
    this.isTelling = false;
  }

  private interrupt(channels: readonly string[], reason: PgGapReason): void {
    this.registry.interrupt(channels, { reason, since: new Date() });
    for (const channel of channels) this.covered.delete(channel);
  }

  /** Acknowledges a moment later, as a server would: all channels of one turn share an answer. */
  private coverSoon(): void {
    if (this.isCoverScheduled) return;
    this.isCoverScheduled = true;
    soon(() => {
      this.isCoverScheduled = false;
      this.inTurn(() => this.cover());
    });
  }

  /** Acknowledges the wanted channels that are not covered yet. */
  private cover(): void {
    if (!this.isConnected) return;
    const channels = [...this.registry.wanted.keys()].filter((channel) => !this.covered.has(channel));
    const acknowledgement = new Acknowledgement();
    for (const channel of channels) this.covered.set(channel, acknowledgement);
    this.registry.cover(channels, acknowledgement);
    if (this.currentStatus.state === 'listening') this.reporter.listening(SERVER);
    this.readiness.update();
  }
}
