import type { ReceivedNotification } from '../channel/pg-notification.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import { connectionFailure } from '../session/connection-failure.js';
import { Backoff } from '../time/backoff.js';
import type { Acknowledgement } from './acknowledgement.js';
import type { ListeningSession } from './channel-reconciler.js';
import { DeliveryCheck } from './delivery-check.js';
import type { PgDeliveryCause, PgDeliveryVerdict } from './delivery-verdict.js';
import { ListenerFront } from './listener-front.js';
import type { PgListenerOptions } from './listener-options.js';
import { ListeningLink } from './listening-link.js';
import type { PgQueueUsage } from './queue-usage.js';
import { PrimaryWatch } from './primary-watch.js';
import { StartupPolicy } from './startup-policy.js';

/** The shortest time between two attempts that serverAnswered() causes, in milliseconds. */
const HURRIED_INTERVAL = 1_000;

/** Listens to PostgreSQL: opens one session after the other, at most one at a time. */
export class PgListener extends ListenerFront {
  private readonly startup: StartupPolicy;
  private readonly backoff: Backoff;
  private readonly primary: PrimaryWatch;
  private readonly check: DeliveryCheck | undefined;
  private readonly firstVerdict: Promise<void>;
  private settleFirstVerdict: () => void = () => undefined;
  /** The refused channels and the notes that were reported: once, not in each session. */
  private readonly refusedChannels = new Set<string>();
  private readonly notes = new Set<string>();
  /** The causes of failing or unknown delivery that were logged since the last connect. */
  private readonly toldCauses = new Set<PgDeliveryCause>();
  private link: ListeningLink | undefined;
  /** When the last attempt to connect began, in milliseconds of the clock. */
  private attemptedAt = -Infinity;
  /** Ends the wait for the next attempt, while there is one. */
  private endPause: (() => void) | undefined;
  private running: Promise<void> | undefined;

  constructor(
    private readonly options: PgListenerOptions,
    context: RegistrationContext,
  ) {
    super(context);
    const { startup, reconnect, deliveryCheck } = options;
    const { clock } = context;
    this.startup = new StartupPolicy(startup, clock);
    this.backoff = new Backoff(reconnect);
    this.primary = new PrimaryWatch({
      openSession: options.openSession,
      interval: reconnect.maxDelay,
      clock,
    });
    if (deliveryCheck) {
      const onVerdict = (now: PgDeliveryVerdict, before: PgDeliveryVerdict): void => this.judged(now, before);
      this.check = new DeliveryCheck({ ...deliveryCheck, clock, onVerdict });
      this.registry.reserve(this.check.channel);
    }
    this.firstVerdict = new Promise((resolve, reject) => {
      this.settleFirstVerdict = resolve;
      if (!deliveryCheck) resolve();
      this.stopSignal.addEventListener('abort', () => reject(this.stopSignal.reason), { once: true });
    });
    this.firstVerdict.catch(() => undefined); // Only a start of the application waits for it.
  }

  /**
   * Starts the loop unless it runs, and waits until the wanted channels are acknowledged and delivery was checked once.
   * The startup policy limits the wait. If it fails, the listener is stopped before this rejects.
   */
  async start(): Promise<void> {
    if (!this.running && !this.isStopping) {
      this.reporter.connecting();
      this.running = this.run();
    }
    try {
      await this.startup.wait(this.ready(), this.firstVerdict, () => this.isDoubtful);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /**
   * To be called when another connection to the server was made: the next attempt then begins at once. If attempts
   * still fail, this happens at most once a second.
   */
  serverAnswered(): void {
    if (this.context.clock.now() - this.attemptedAt >= HURRIED_INTERVAL) this.endPause?.();
  }

  acknowledgementOf(channel: string): Acknowledgement | undefined {
    return this.liveLink?.reconciler.acknowledgementOf(channel);
  }

  get coveredChannels(): readonly string[] {
    return this.registry.withoutOwn(this.liveLink?.reconciler.acknowledgedChannels ?? []);
  }

  async queueUsage(): Promise<PgQueueUsage> {
    const { liveLink } = this;
    if (!liveLink) throw new PgNotifyError('connection', 'There is no listening connection to ask on.');
    return liveLink.queueUsage();
  }

  protected get isListening(): boolean {
    return this.liveLink?.listeningSince !== undefined;
  }

  protected isDecided(channel: string): boolean {
    return this.liveLink?.reconciler.isDecided(channel) === true;
  }

  protected get connectionFacts() {
    const facts = this.liveLink?.session.facts;
    return {
      ...(this.check && { delivery: this.check.verdict }),
      ...(facts && { processId: facts.backendPid, serverVersion: facts.serverVersion }),
    };
  }

  protected wantedChanged(): void {
    this.link?.reconciler.schedule();
  }

  protected async end(): Promise<void> {
    await this.link?.leave();
    await this.link?.session.close();
    await this.running;
    await this.check?.closed();
  }

  /** Explains to a pending start() why the registration was closed before it listened. */
  protected override closedError(): PgNotifyError {
    if (!this.startup.isUnderWay) return super.closedError();
    const { state, lastFailure } = this.currentStatus;
    const before = state === 'listening' ? 'its start was over' : 'it listened';
    const why = lastFailure && state !== 'listening' ? ` The last failure: ${lastFailure.message}` : '';
    return new PgNotifyError('closed', `The registration was closed before ${before}.${why}`);
  }

  /** Whether the start must wait for a verdict: a notification was sent, and has not arrived. */
  private get isDoubtful(): boolean {
    const { deliveryCheck } = this.options;
    return deliveryCheck !== false && deliveryCheck.onStartFailure === 'fail' && this.check?.isDoubtful === true;
  }

  private async run(): Promise<void> {
    const signal = this.stopSignal;
    for (;;) {
      const failure = await this.listenUntilLost(signal);
      if (signal.aborted) return;
      this.reporter.failed(failure, this.startup.failed(failure));
      await this.pause(this.backoff.next(), signal);
      if (signal.aborted) return;
    }
  }

  /** Waits before the next attempt. A sign of the server or a stop ends the wait early. */
  private async pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const end = (): void => over.abort();
    this.endPause = end;
    signal.addEventListener('abort', end, { once: true });
    await this.context.clock.sleep(milliseconds, over.signal).catch(() => undefined); // Rejects when ended early.
    signal.removeEventListener('abort', end);
    this.endPause = undefined;
  }

  /** One iteration of the loop: a session from the attempt to the loss. Returns the reason of its end. */
  private async listenUntilLost(signal: AbortSignal): Promise<PgNotifyError> {
    let session: ListeningSession;
    this.attemptedAt = this.context.clock.now();
    try {
      session = await this.options.openSession(signal, this.dispatch);
    } catch (error) {
      return connectionFailure(error, 'the database');
    }
    const refusal = signal.aborted ? super.closedError() : this.primary.refusalOf(session);
    if (refusal) {
      await session.close();
      return refusal;
    }
    return this.listenOn(session);
  }

  private async listenOn(session: ListeningSession): Promise<PgNotifyError> {
    const { heartbeat, statementTimeout, reconnect } = this.options;
    const { registry, check, context } = this;
    const { clock } = context;
    const link = new ListeningLink({
      session,
      registry,
      heartbeat,
      check,
      statementTimeout,
      context,
      onListening: () => this.listening(link),
      onRefused: (channel, error) => this.refused(channel, error),
      note: (message) => this.note(message),
    });
    this.link = link;
    const ended = new AbortController();
    const leaving = this.primary.isStopgap(session.facts) ? this.leaveStopgap(session, ended.signal) : undefined;
    this.toldCauses.clear();
    const failure = await link.run();
    ended.abort();
    await leaving;
    this.link = undefined;
    check?.forget();
    const upFor = link.listeningSince === undefined ? undefined : clock.now() - link.listeningSince;
    if (upFor !== undefined && upFor >= reconnect.stableAfter) this.backoff.reset();
    return connectionFailure(failure, session.endpoint);
  }

  private leaveStopgap(session: ListeningSession, signal: AbortSignal): Promise<void> {
    this.context.logger.warn(
      `${session.endpoint}: this server is read-only now, and every attempt leads to it. We listen on it, because it accepts LISTEN and NOTIFY, ` +
        'until there is a server that can write.',
    );
    return this.primary.leaveStopgap(session, signal);
  }

  private readonly dispatch = (notification: ReceivedNotification): void => {
    const { link } = this;
    if (!link?.reconciler.admits(notification.channel)) return;
    this.check?.observe(notification, link);
    // While delivery fails, a stray notification would follow a loss without a gap. The gap that ends the failure
    // covers it.
    if (this.check?.hasFailed) this.registry.discard(notification);
    else this.registry.dispatch(notification);
  };

  private listening(link: ListeningLink): void {
    this.reporter.listening(link.session);
    this.readiness.update();
  }

  /** Logs a warning, unless it was logged before. */
  private note(message: string): void {
    if (this.notes.has(message)) return;
    this.notes.add(message);
    this.context.logger.warn(message);
  }

  /** Reports a refused channel. Its consumers get nothing; the other channels are not affected. */
  private refused(channel: string, error: unknown): void {
    if (this.refusedChannels.has(channel)) return;
    this.refusedChannels.add(channel);
    const message = `The server refuses to LISTEN to the channel ${JSON.stringify(channel)}: ${messageOf(error)}`;
    this.context.errors.report(new PgNotifyError('channel', message, { channel }));
  }

  private judged(now: PgDeliveryVerdict, before: PgDeliveryVerdict): void {
    const { deliveryCheck } = this.options;
    const { logger } = this.context;
    if (now.verdict === 'verified') {
      if (before.verdict === 'failing') logger.log('Notifications arrive again.');
      if (this.check?.hasMissed) this.link?.announceUndelivered(this.check.lastVerifiedAt);
      if (this.link && !this.link.isDirect) this.link.applySettings();
    } else if (now.message !== undefined && this.isNews(now, before)) {
      const error = new PgNotifyError('configuration', now.message, { permanent: true });
      const endsStart =
        now.verdict === 'failing' &&
        deliveryCheck &&
        deliveryCheck.onStartFailure === 'fail' &&
        this.startup.failed(error);
      if (!endsStart) logger.warn(now.message);
    }
    this.settleFirstVerdict();
    this.reporter.update();
  }

  /** A cause is logged once for each connection; but whenever delivery begins to fail, that is logged. */
  private isNews({ verdict, cause }: PgDeliveryVerdict, before: PgDeliveryVerdict): boolean {
    const isKnown = cause === undefined || this.toldCauses.has(cause);
    if (cause !== undefined) this.toldCauses.add(cause);
    return !isKnown || (verdict === 'failing' && before.verdict !== 'failing');
  }

  /** Undefined as soon as the session is lost, which the loop notices only a moment later. */
  private get liveLink(): ListeningLink | undefined {
    return this.link?.session.isLost ? undefined : this.link;
  }
}
