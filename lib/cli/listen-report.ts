import type { Observable } from 'rxjs';
import type { PgGap } from '../channel/pg-gap.js';
import type { RawPgNotification } from '../channel/pg-notification.js';
import type { PgNotifyStatus } from '../listener/pg-notify-status.js';
import type { RegistrationLogger } from '../pg-notify.registration-context.js';
import type { Terminal } from './terminal.js';

/** Prints the notifications and the status of a listener. */
export interface ListenReport {
  readonly logger: Partial<RegistrationLogger>;
  notification(notification: RawPgNotification): void;
  gap(gap: PgGap): void;
  follow(status$: Observable<PgNotifyStatus>): void;
}

/** For people: notifications and gaps on standard output, the state of the connection on standard error. */
export class TextReport implements ListenReport {
  readonly logger: Partial<RegistrationLogger>;

  constructor(private readonly terminal: Terminal) {
    this.logger = {
      log: (message) => terminal.note([['dim', message]]),
      warn: (message) => terminal.note([['yellow', message]]),
    };
  }

  notification({ channel, raw, receivedAt }: RawPgNotification): void {
    this.terminal.line([['dim', receivedAt.toISOString()], ' ', ['cyan', shown(channel)], ' ', raw]);
  }

  gap({ channel, reason, since, until, dropped }: PgGap): void {
    const text =
      reason === 'start'
        ? 'listening from here on'
        : reason === 'overflow'
          ? `gap (overflow): ${dropped} dropped, because the output was not read fast enough`
          : `gap (${reason}): what was sent since ${since?.toISOString() ?? 'the beginning'} may be missing`;
    this.terminal.line([
      [reason === 'start' ? 'dim' : 'yellow', `-- ${until.toISOString()} ${shown(channel)} ${text}`],
    ]);
  }

  follow(): void {
    // The logger prints every change in words.
  }
}

/** For programs: everything on standard output, one JSON object in each line. */
export class JsonReport implements ListenReport {
  readonly logger = {}; // The status shows it.
  private printed = '';

  constructor(private readonly terminal: Terminal) {}

  notification({ channel, raw, processId, receivedAt }: RawPgNotification): void {
    this.terminal.json({ type: 'notification', channel, payload: raw, processId, receivedAt });
  }

  gap(gap: PgGap): void {
    this.terminal.json({ type: 'gap', ...gap });
  }

  follow(status$: Observable<PgNotifyStatus>): void {
    status$.subscribe(({ state, since, delivery, attempts, lastFailure }) => {
      const verdict = delivery?.verdict;
      const failure = state === 'listening' ? delivery?.message : attempts > 0 ? lastFailure?.message : undefined;
      const changed = JSON.stringify([state, verdict, failure]);
      if (changed === this.printed || state === 'closed') return;
      this.printed = changed;
      this.terminal.json({ type: 'status', state, since, delivery: verdict, message: failure });
    });
  }
}

/** Quotes a name with spaces or other characters that could be taken for the payload. */
function shown(channel: string): string {
  return /^[\p{L}\p{N}_.:$/-]+$/u.test(channel) ? channel : JSON.stringify(channel);
}
