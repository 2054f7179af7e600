import type { ConnectionSettings } from '../session/connection-settings.js';
import { PgSession } from '../session/pg-session.js';
import {
  CONNECTION_HELP,
  CONNECTION_OPTIONS,
  parseArguments,
  readConnection,
  readSeconds,
  readUrl,
  refusePositionals,
} from './command.js';
import type { Command } from './command.js';
import { checkDelivery } from './delivery-checks.js';
import { checkEventLog } from './event-log-check.js';
import { failedFinding } from './finding.js';
import type { Finding } from './finding.js';
import { checkPublisher, serverChecks } from './server-checks.js';
import type { Style, Terminal } from './terminal.js';

const DEFAULT_TIMEOUT = 10;

/** Checks whether LISTEN and NOTIFY work on a database, and prints the remedy if they do not. */
export const doctor: Command = {
  name: 'doctor',
  summary: 'tells whether LISTEN works on a database, and what to do if it does not',
  usage: 'Usage: nest-pg-notify doctor [--url <url>] [--publisher-url <url>] [--timeout <seconds>] [--json]',
  help: `Tells whether LISTEN and NOTIFY work on a database, and what to do where they do not.

Usage: nest-pg-notify doctor [--url <url>] [--publisher-url <url>] [--timeout <seconds>] [--json]

It listens as an application would, sends a notification from a second connection and waits for it: only that
shows a pooler in transaction mode. It also looks at the version, the role of the server, privileges, timeouts, the
encoding and the notification queue. It changes nothing, and writes nothing but that notification.

Options:
${CONNECTION_HELP}
  --publisher-url <url> where to send, if that differs: as the option publisher.connection of the module
  --timeout <seconds>   how long all of it may take (${DEFAULT_TIMEOUT})
  --json                prints one object: { ok, findings: [{ check, level, message, remedy }] }

Exit codes:
  0   notifications arrive, and no problem was found; there may be warnings
  1   a problem was found: LISTEN or NOTIFY would not work
  2   wrong usage

Examples:
  nest-pg-notify doctor --url postgres://app@localhost/shop
  nest-pg-notify doctor --json | jq '.findings[] | select(.level != "ok")'
`,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, {
      ...CONNECTION_OPTIONS,
      'publisher-url': { type: 'string' },
      json: { type: 'boolean' },
    });
    refusePositionals(positionals);
    const timeout = readSeconds('--timeout', values.timeout, DEFAULT_TIMEOUT);
    const connection = readConnection(values, context);
    const publisherUrl = values['publisher-url'];
    const publisher = publisherUrl === undefined ? undefined : readUrl('--publisher-url', publisherUrl, context);
    const findings = await examine({ connection, publisher, timeout });
    const ok = findings.every(({ level }) => level !== 'problem');
    if (values.json) context.terminal.json({ ok, findings });
    else print(findings, context.terminal);
    return ok ? 0 : 1;
  },
};

interface Examination {
  readonly connection: ConnectionSettings;
  /** The connection to send on, if it differs. */
  readonly publisher: ConnectionSettings | undefined;
  /** For all checks together, in milliseconds. */
  readonly timeout: number;
}

const EVENT_LOG_CHECK = { check: 'events', ask: checkEventLog } as const;

/** Leaves out checks that are impossible because of an earlier finding. */
async function examine({ connection, publisher, timeout }: Examination): Promise<readonly Finding[]> {
  const end = performance.now() + timeout;
  const left = (): number => Math.max(1, Math.round(end - performance.now()));
  const open = (settings: ConnectionSettings): Promise<PgSession> => {
    const [applicationName, answerLimit] = ['nest-pg-notify doctor', left()];
    return PgSession.open(settings, { applicationName, connectTimeout: answerLimit, answerLimit });
  };
  let session: PgSession;
  try {
    session = await open(connection);
  } catch (error) {
    return [failedFinding('connection', 'problem', error)];
  }
  let findings: Finding[];
  try {
    findings = await examineServer(session, publisher === undefined, left);
    if (session.isLost) return findings;
  } finally {
    // It ends before the listener connects, because a pooler in session mode may not have a third connection.
    await session.close();
  }
  const sending = publisher && (await examinePublisher(open, publisher, left));
  if (sending) findings.push(sending);
  const { processId: announced, facts } = session;
  if (facts.standby || sending?.level === 'problem') return findings;
  const delivery = { connection, publisher: publisher ?? connection, timeout: left() };
  return [...findings, ...(await checkDelivery(delivery, { announced, actual: facts.backendPid }))];
}

/** Ends with the check that finds the session lost. */
async function examineServer(session: PgSession, sends: boolean, left: () => number): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { check, ask } of [...serverChecks(sends), EVENT_LOG_CHECK]) {
    try {
      const finding = await ask(session, left());
      if (finding) findings.push(finding);
    } catch (error) {
      const { isLost } = session;
      findings.push(failedFinding(check, isLost ? 'problem' : 'warning', error));
      if (isLost) break;
    }
  }
  return findings;
}

async function examinePublisher(
  open: (settings: ConnectionSettings) => Promise<PgSession>,
  publisher: ConnectionSettings,
  left: () => number,
): Promise<Finding> {
  let session: PgSession | undefined;
  try {
    session = await open(publisher);
    return await checkPublisher(session, left());
  } catch (error) {
    // What the server does not let it ask is no reason not to try.
    return failedFinding('publisher', session && !session.isLost ? 'warning' : 'problem', error);
  } finally {
    await session?.close();
  }
}

const STYLES: Readonly<Record<Finding['level'], Style>> = { ok: 'green', warning: 'yellow', problem: 'red' };

function print(findings: readonly Finding[], terminal: Terminal): void {
  for (const { check, level, message, remedy } of findings) {
    terminal.line([[STYLES[level], level.padEnd(9)], ['bold', check.padEnd(12)], message]);
    if (remedy !== undefined) terminal.line([' '.repeat(21), ['cyan', `→ ${remedy}`]]);
  }
  const count = (level: Finding['level']): number => findings.filter((finding) => finding.level === level).length;
  const [problems, warnings] = [count('problem'), count('warning')];
  const told = [plural(problems, 'problem'), plural(warnings, 'warning')].filter(Boolean).join(', ');
  terminal.line([problems === 0 ? `LISTEN and NOTIFY work here${told && ` (${told})`}.` : `Found: ${told}.`]);
}

function plural(count: number, noun: string): string {
  return count === 0 ? '' : `${count} ${noun}${count === 1 ? '' : 's'}`;
}
