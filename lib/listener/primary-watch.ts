import { PgNotifyError } from '../pg-notify.errors.js';
import type { Clock } from '../time/clock.js';
import type { SessionFacts } from '../session/session-facts.js';
import type { ListeningSession } from './channel-reconciler.js';
import type { OpenListeningSession } from './listener-options.js';

/** So many attempts in a row that meet one read-only server are taken to show that there is no other. */
const ATTEMPTS_TO_ACCEPT = 3;

export interface PrimaryWatchOptions {
  readonly openSession: OpenListeningSession;
  /** How long between two looks for a server that can write, in milliseconds. */
  readonly interval: number;
  readonly clock: Clock;
}

/**
 * Decides which servers are fit to listen on. A server that could write and no longer can is usually an old primary, and
 * the next attempt may lead to the new one. If all attempts meet that server, it is the only one, for instance because
 * its disk is full: it still takes LISTEN and NOTIFY, so it is listened on until another is found.
 */
export class PrimaryWatch {
  /** Once a session could write, a server that cannot is probably not the primary any more. */
  private hasBeenWritable = false;
  private met: { readonly server: string; readonly attempts: number } | undefined;

  constructor(private readonly options: PrimaryWatchOptions) {}

  /** Whether this is a session on the only server that attempts lead to, which was the primary and cannot write now. */
  isStopgap({ readOnly }: SessionFacts): boolean {
    return readOnly && this.hasBeenWritable;
  }

  /** Returns why nothing can be listened to on a new session; undefined if it is fit. */
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
    const message = `${endpoint}: this server is read-only now, and was not before. Connect to the primary.`;
    return new PgNotifyError('connection', message, { endpoint, permanent: false });
  }

  /** Gives a session on a read-only server up as soon as attempts lead to one that can write. Never rejects. */
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
      return; // Or it can write again.
    }
  }

  /** Returns a server that can write, if that is where the settings lead now. */
  private async look(signal: AbortSignal): Promise<Pick<ListeningSession, 'facts' | 'endpoint'> | undefined> {
    try {
      const other = await this.options.openSession(signal, () => undefined);
      const { facts, endpoint } = other;
      await other.close();
      return facts.readOnly || facts.standby ? undefined : { facts, endpoint };
    } catch {
      return undefined; // Nothing is lost: the next look may find one.
    }
  }
}
