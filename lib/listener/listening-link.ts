import type { PgNotifyHeartbeatOptions } from '../pg-notify.options.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import { isUnavailable, lackingListen, splitRemedy } from '../session/connection-failure.js';
import { Acknowledgement } from './acknowledgement.js';
import { ChannelReconciler } from './channel-reconciler.js';
import type { ListeningSession } from './channel-reconciler.js';
import type { ChannelRegistry } from './channel-registry.js';
import type { DeliveryCheck } from './delivery-check.js';
import { Heartbeat } from './heartbeat.js';
import { askQueueUsage } from './queue-usage.js';
import type { PgQueueUsage } from './queue-usage.js';

export interface ListeningLinkOptions {
  readonly session: ListeningSession;
  readonly registry: ChannelRegistry;
  readonly heartbeat: Required<PgNotifyHeartbeatOptions>;
  readonly check: DeliveryCheck | undefined;
  /** How long the server may be silent before it answers a statement, in milliseconds. */
  readonly statementTimeout: number;
  readonly context: Pick<RegistrationContext, 'clock' | 'logger'>;
  /** Called when more of the wanted channels are acknowledged. */
  readonly onListening: () => void;
  readonly onRefused: (channel: string, error: unknown) => void;
  /** Logs a warning once, although each session may repeat it. */
  readonly note: (message: string) => void;
}

const GRANT_FACTS =
  'Without this answer a standby, or another server, may not be recognized. Grant the role EXECUTE on the function.';
const GRANT_USAGE = 'Grant the role EXECUTE on pg_catalog.pg_notification_queue_usage().';

/** The shortest time between two questions of the application that interrupt a delivery check, in milliseconds. */
const URGENT_INTERVAL = 1_000;

/** How long the UNLISTENs of a session that ends may take, in milliseconds. */
const LEAVING_TIMEOUT = 1_000;

/**
 * A listening session with its reconciler, heartbeat and delivery check. They end together when the session is lost.
 */
export class ListeningLink {
  readonly session: ListeningSession;
  readonly reconciler: ChannelReconciler;
  /** When the first channels were acknowledged or no channel was wanted, in milliseconds of the clock. */
  listeningSince: number | undefined;
  private readonly ended = new AbortController();
  private watching: Promise<unknown> | undefined;
  private hasSettings = false;
  private usage: Promise<PgQueueUsage> | undefined;
  private lastUrgent = -Infinity;

  constructor(private readonly options: ListeningLinkOptions) {
    const { session, registry, statementTimeout, onRefused } = options;
    this.session = session;
    this.reconciler = new ChannelReconciler({
      session,
      wanted: registry.wanted,
      timeout: statementTimeout,
      clock: options.context.clock,
      onAcknowledged: (channels, acknowledgement) => {
        registry.cover(channels, acknowledgement);
        // At first, all wanted channels must be acknowledged: with a part of many it is not listening yet.
        if (this.listeningSince !== undefined || !this.reconciler.lacksChannels) this.listening();
      },
      onRefused,
      onSettled: () => this.listening(),
    });
  }

  /**
   * Whether the server runs our statements in the backend that it announced at connect. Otherwise there is a pooler.
   */
  get isDirect(): boolean {
    return this.session.facts.backendPid === this.session.processId;
  }

  /** Sets up the session and listens. Resolves with the reason of the loss when all parts of the link have ended. */
  async run(): Promise<Error> {
    // Behind a transaction pooler the settings would apply to the next client of the backend.
    if (this.isDirect) this.applySettings();
    this.reconciler.schedule();
    const { session, registry, note } = this.options;
    const { refusal } = session.facts;
    if (refusal !== undefined) note(`${refusal} ${GRANT_FACTS}`);
    const failure = await session.lost;
    this.ended.abort();
    const since = this.lastWell;
    registry.interrupt(this.reconciler.acknowledgedChannels, { reason: 'reconnect', ...(since && { since }) });
    await this.watching;
    return failure;
  }

  /** The last moment at which delivery is known to have worked. */
  private get lastWell(): Date | undefined {
    const { session, check } = this.options;
    return check?.hasMissed ? check.lastVerifiedAt : session.lastHeardAt;
  }

  /** Applies the settings of a listening session. Behind a pooler, only after session mode is proved. */
  applySettings(): void {
    const { session } = this.options;
    this.hasSettings = true;
    this.reconciler.whileQuiet(() => this.setAll()).catch((error: unknown) => session.destroy(lackingListen(error)));
  }

  /**
   * To be called before the session is closed. Behind a pooler in transaction mode the LISTENs stay with a connection
   * to the server that others use: this sends UNLISTEN, which reaches that connection if the pool is quiet. Never
   * rejects.
   */
  async leave(): Promise<void> {
    if (this.isDirect || this.session.isLost) return;
    const timeout = Math.min(this.options.statementTimeout, LEAVING_TIMEOUT);
    await this.reconciler.unlisten(timeout).catch(() => undefined);
  }

  private async setAll(): Promise<void> {
    const { session, statementTimeout } = this.options;
    if (this.hasSettings) await session.applySettings(statementTimeout);
  }

  /** Announces to all channels that notifications were not delivered from `since` on, and are delivered again. */
  announceUndelivered(since: Date | undefined): void {
    const { registry } = this.options;
    const channels = this.reconciler.acknowledgedChannels;
    const acknowledgement = new Acknowledgement();
    this.reconciler.renew(channels, acknowledgement);
    registry.interrupt(channels, { reason: 'undelivered', ...(since && { since }) });
    registry.cover(channels, acknowledgement);
  }

  /**
   * Asks how full the notification queue is. Concurrent calls share the answer. A call interrupts a delivery check, so
   * that a health probe does not wait for it; but at most once a second, so that frequent calls cannot prevent checks.
   */
  queueUsage(): Promise<PgQueueUsage> {
    return (this.usage ??= this.askUsage().finally(() => (this.usage = undefined)));
  }

  private askUsage(): Promise<PgQueueUsage> {
    const { session, statementTimeout, context, note } = this.options;
    const { clock } = context;
    const urgent = clock.now() - this.lastUrgent >= URGENT_INTERVAL;
    if (urgent) this.lastUrgent = clock.now();
    const usage = this.reconciler.whileQuiet(() => askQueueUsage(session, statementTimeout), { urgent });
    usage.catch((error: unknown) => {
      if (!isUnavailable(error)) return;
      note(`The usage of the notification queue is unknown. ${splitRemedy(error.message).problem} ${GRANT_USAGE}`);
    });
    return usage;
  }

  private listening(): void {
    const { onListening, context } = this.options;
    if (this.listeningSince === undefined) {
      this.listeningSince = context.clock.now();
      this.watch();
    }
    onListening();
  }

  private watch(): void {
    const { session, registry, heartbeat, check, context, note } = this.options;
    const { clock, logger } = context;
    const { reconciler } = this;
    const { signal } = this.ended;
    const onMissing = (channels: readonly string[], since: Date): void => {
      const listened = registry.withoutOwn(channels);
      if (listened.length > 0) {
        logger.warn(
          `${session.endpoint}: the server no longer listens to ${nameSome(listened)}, although the connection is alive. ` +
            'LISTEN is sent again, and a gap announces what was missed.',
        );
      }
      registry.interrupt(channels, { reason: 'relisten', since });
    };
    const beating = new Heartbeat({
      ...heartbeat,
      session,
      reconciler,
      clock,
      onMissing,
      isChecking: () => check?.isUnderWay === true,
      isDelivered: () => (check ? check.verdict.verdict === 'verified' : !this.isDirect),
      isFailing: () => check?.hasFailed === true,
      note,
      restoreSettings: () => this.setAll(),
    }).run(signal);
    this.watching = Promise.all([beating, check?.run(this, signal)]);
  }
}

/** Names the first three, and counts the others. */
function nameSome(channels: readonly string[]): string {
  const named = channels.slice(0, 3).map((channel) => JSON.stringify(channel));
  const others = channels.length - named.length;
  const list = others > 0 ? `${named.join(', ')} and ${others} more` : named.join(', ');
  return `${channels.length === 1 ? 'the channel' : 'the channels'} ${list}`;
}
