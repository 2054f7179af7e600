import { PgNotifyError } from '../pg-notify.errors.js';
import type { Clock } from '../time/clock.js';
import type { SessionFacts } from '../session/session-facts.js';
import type { ListeningSession } from './channel-reconciler.js';
import type { OpenListeningSession } from './listener-options.js';

/** After so many attempts in a row that reach one read-only server, it is taken for the only server. */
const ATTEMPTS_TO_ACCEPT = 3;

export interface PrimaryWatchOptions {
  readonly openSession: OpenListeningSession;
  /** The time between two searches for a server that can write, in milliseconds. */
  readonly interval: number;
  readonly clock: Clock;
}

/**
 * Decides which servers to listen on. A server that could write and no longer can is usually an old primary, and the
 * next attempt may reach the new one. If all attempts reach that server, it is the only one, for instance because its
 * disk is full. It still accepts LISTEN and NOTIFY, so we listen on it until another server is found.
 */
export class PrimaryWatch {
  /** After a session that could write, a server that cannot is probably no longer the primary. */
  private hasBeenWritable = false;
  private met: { readonly server: string; readonly attempts: number } | undefined;

  constructor(private readonly options: PrimaryWatchOptions) {}

  /** Whether the session is on the only reachable server, a former primary that cannot write now. */
  isStopgap({ readOnly }: SessionFacts): boolean {
    return readOnly && this.hasBeenWritable;
  }

  /** Returns why a new session is refused; undefined if it can listen. */
  refusalOf({ facts, endpoint }: ListeningSession): PgNotifyError | undefined {
    if (facts.standby) {
      this.met = undefined;
      const message = `${endpoint}: this server is a standby, which cannot LISTEN. Connect to the primary.`;
      return new PgNotifyError('connection', message, { sqlState: '25006', endpoint, permanent: false });
    }
    if (!this.isStopgap(facts)) {
      this.met = undefined;
      this.hasBeenWritable ||= !facts.readOnly;
      return undefined;
    }
    const { server } = facts;
    this.met = { server, attempts: this.met?.server === server ? this.met.attempts + 1 : 1 };
    if (this.met.attempts > ATTEMPTS_TO_ACCEPT) return undefined;
    const message = `${endpoint}: this server has become read-only. Connect to the primary.`;
    return new PgNotifyError('connection', message, { endpoint, permanent: false });
  }

  /** Ends a session on a read-only server as soon as a server that can write is found. Never rejects. */
  async leaveStopgap(session: ListeningSession, signal: AbortSignal): Promise<void> {
    const { interval, clock } = this.options;
    while (!signal.aborted) {
      await clock.sleep(interval, signal).catch(() => undefined); // Rejects at the end.
      if (signal.aborted) return;
      const found = await this.look(signal);
      if (!found) continue;
      if (found.facts.server !== session.facts.server) {
        const { endpoint } = found;
        session.destroy(
          new PgNotifyError('connection', `${session.endpoint}: read-only, and ${endpoint} can write.`, { endpoint }),
        );
      }
      return; // Or this server can write again.
    }
  }

  /** Returns the server that the settings lead to now, if it can write. */
  private async look(signal: AbortSignal): Promise<Pick<ListeningSession, 'facts' | 'endpoint'> | undefined> {
    try {
      const other = await this.options.openSession(signal, () => undefined);
      const { facts, endpoint } = other;
      await other.close();
      return facts.readOnly || facts.standby ? undefined : { facts, endpoint };
    } catch {
      return undefined; // The next search may find one.
    }
  }
}
