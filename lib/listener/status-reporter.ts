import { BehaviorSubject } from 'rxjs';
import type { Observable } from 'rxjs';
import type { PgNotifyError } from '../pg-notify.errors.js';
import type { RegistrationContext } from '../pg-notify.registration-context.js';
import type { ListeningSession } from './channel-reconciler.js';
import type { PgNotifyFailure, PgNotifyState, PgNotifyStatus } from './pg-notify-status.js';

/** The part of the status that is read from the listener. */
export type ListenerFacts = Omit<PgNotifyStatus, 'state' | 'since' | 'attempts' | 'lastFailure'>;

/** Bounds the logged causes, because their texts may differ at each attempt. */
const MAX_CAUSES = 10;

/** Reports the state of a listener: as a status, and with one log line for each change. */
export class StatusReporter {
  private subject: BehaviorSubject<PgNotifyStatus> | undefined;
  private state: PgNotifyState = 'closed';
  private since = new Date();
  private attempts = 0;
  private recoveries = 0;
  private lastFailure: PgNotifyFailure | undefined;
  /** The causes that were logged since it last listened. Each is logged once, even if several alternate. */
  private readonly loggedCauses = new Set<string>();

  constructor(
    private readonly context: Pick<RegistrationContext, 'logger' | 'errors' | 'diagnostics'>,
    private readonly facts: () => ListenerFacts,
  ) {}

  get current(): PgNotifyStatus {
    const { state, since, attempts, lastFailure } = this;
    return { state, since, attempts, ...this.facts(), ...(lastFailure && { lastFailure }) };
  }

  /** The status now and whenever it is reported; completes when closed. */
  get changes(): Observable<PgNotifyStatus> {
    return this.status.asObservable();
  }

  /** The number of recoveries after a loss. */
  get reconnects(): number {
    return this.recoveries;
  }

  /** Emits the status, because something beside the state has changed. */
  update(): void {
    this.status.next(this.current);
  }

  disabled(): void {
    this.enter('disabled');
  }

  connecting(): void {
    this.enter('connecting');
  }

  /**
   * More of the wanted channels are acknowledged. Called first when a session listens, then at each acknowledgement.
   */
  listening({ endpoint, facts }: Pick<ListeningSession, 'endpoint' | 'facts'>): void {
    if (this.state !== 'listening') {
      const again = this.state === 'reconnecting' ? ' again' : '';
      this.context.logger.log(`Listening${again} on ${endpoint} (backend ${facts.backendPid}).`);
      if (this.state === 'reconnecting') this.recoveries += 1;
      this.attempts = 0;
      this.loggedCauses.clear();
      this.enter('listening');
      return;
    }
    const [before, now] = [this.status.value, this.current];
    const isNews =
      before.channels.wanted !== now.channels.wanted || before.channels.acknowledged !== now.channels.acknowledged;
    if (isNews) this.status.next(now);
  }

  /**
   * An attempt has failed, or the session was lost. @param isThrown Whether start() rejects with it; it is not logged
   * then.
   */
  failed(error: PgNotifyError, isThrown: boolean): void {
    this.attempts += 1;
    const { kind, message, sqlState, endpoint } = error;
    this.lastFailure = { kind, message, at: new Date(), ...(sqlState && { sqlState }), ...(endpoint && { endpoint }) };
    this.context.errors.tell(error);
    const cause = sqlState ?? message;
    const isNews = !this.loggedCauses.has(cause) && this.loggedCauses.size < MAX_CAUSES;
    if (isNews) this.loggedCauses.add(cause);
    if (this.state === 'listening') {
      this.context.logger.warn(
        `Not listening any more: ${message} Reconnecting; what is missed is announced as a gap.`,
      );
      this.enter('reconnecting');
      return;
    }
    const still = this.state === 'connecting' ? 'Not listening yet' : 'Still not listening';
    if (isNews && !isThrown) this.context.logger.warn(`${still}: ${message} Trying again.`);
    this.update();
  }

  closed(): void {
    this.enter('closed');
    this.status.complete();
  }

  /** Made at its first use, because the listener has no facts while it is being constructed. */
  private get status(): BehaviorSubject<PgNotifyStatus> {
    return (this.subject ??= new BehaviorSubject(this.current));
  }

  private enter(state: PgNotifyState): void {
    this.state = state;
    this.context.diagnostics.publish('nest-pg-notify.state', { state });
    this.since = new Date();
    this.update();
  }
}
