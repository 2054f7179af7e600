import { checkChannelName } from '../channel/channel-name.js';
import type { PgListener } from '../listener/pg-listener.js';
import { isPgNotifyError, messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { ChannelPrinter } from './channel-printer.js';
import {
  CONNECTION_HELP,
  CONNECTION_OPTIONS,
  parseArguments,
  readConnection,
  readCount,
  readSeconds,
  UsageError,
} from './command.js';
import type { Command } from './command.js';
import { createCommandListener, deliveryTimeoutWithin } from './command-listener.js';
import { JsonReport, TextReport } from './listen-report.js';
import type { Terminal } from './terminal.js';

const DEFAULT_TIMEOUT = 30;

/** The delivery check goes on while it listens, when --timeout no longer applies; in milliseconds. */
const LEAST_DELIVERY_TIMEOUT = 250;

/** The reason of an end by a signal. */
const ASKED_TO_END = 'signal';

/** How long a reader may take to read the output that was written before a signal, in milliseconds. */
const LAST_MOMENT = 500;

/** Prints notifications until it is ended. */
export const listen: Command = {
  name: 'listen',
  summary: 'prints the notifications of channels as they come, and says when some may be missing',
  usage: 'Usage: nest-pg-notify listen <channel…> [--count <n>] [--url <url>] [--timeout <seconds>] [--json]',
  help: `Prints the notifications of channels as they come, one line for each: when, where and what. It survives restarts
of the server, and says where notifications may be missing: lines that begin with "--".

Usage: nest-pg-notify listen <channel…> [--count <n>] [--url <url>] [--timeout <seconds>] [--json]

Names of channels are case-sensitive: LISTEN Orders in SQL means the channel orders. Control characters are printed
as escapes (\\n, \\e, \\x07); --json has payloads as they are.

Options:
  --count <n>           ends after so many notifications
${CONNECTION_HELP}
  --timeout <seconds>   how long it tries to listen for the first time (${DEFAULT_TIMEOUT}); later it never gives up
  --json                prints an object in each line; its type is notification, gap or status

Exit codes:
  0   ended by Ctrl-C or SIGTERM, by --count, or because nobody reads the output any more
  1   it could not listen: what a retry cannot mend, or not within --timeout
  2   wrong usage

Examples:
  nest-pg-notify listen orders products
  nest-pg-notify listen orders --count 1 --json | jq .payload
`,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, {
      ...CONNECTION_OPTIONS,
      count: { type: 'string' },
      json: { type: 'boolean' },
    });
    const channels = new Set(positionals.map(checkChannelName));
    if (channels.size === 0) throw new UsageError('Which channel?');
    const count = readCount('--count', values.count) ?? Infinity;
    const timeout = readSeconds('--timeout', values.timeout, DEFAULT_TIMEOUT);
    const connection = readConnection(values, context);

    const { terminal } = context;
    const end = new AbortController();
    const report = values.json ? new JsonReport(terminal) : new TextReport(terminal);
    const listener = createCommandListener({
      connection,
      options: {
        startup: { mode: 'wait', timeout },
        deliveryCheck: { timeout: Math.max(LEAST_DELIVERY_TIMEOUT, deliveryTimeoutWithin(timeout)) },
      },
      logger: report.logger,
      onError: (error) => terminal.note([['red', 'error:'], ` ${messageOf(error)}`]),
      // A pooler may acknowledge LISTEN although nothing will arrive. Only the check shows whether it works.
      onPooler: () => terminal.hold(),
    });
    const printer = new ChannelPrinter({ terminal, report, count, onEnough: () => end.abort() });
    for (const channel of channels) listener.subscribe(channel, printer.consumerOf(channel));
    report.follow(listener.status$);
    await listenUntil(endOf(terminal, end), listener, { timeout, onBegun: () => terminal.release() });
    if (end.signal.reason === ASKED_TO_END) leaveSoon();
    return 0;
  },
};

interface Beginning {
  readonly timeout: number;
  readonly onBegun: () => void;
}

/** Listens until the signal is aborted. Rejects if listening has never begun. */
async function listenUntil(end: AbortSignal, listener: PgListener, { timeout, onBegun }: Beginning): Promise<void> {
  const ended = new Promise<void>((resolve) => end.addEventListener('abort', () => resolve(), { once: true }));
  let wasAcknowledged = false;
  listener.status$.subscribe(({ state }) => (wasAcknowledged ||= state === 'listening'));
  const started = listener.start().catch((error: unknown) => {
    if (!end.aborted) throw startFailure(error, listener, timeout, wasAcknowledged ? UNPROVEN : UNANSWERED);
  });
  await Promise.race([started.then(onBegun).then(() => ended), ended]);
  await listener.stop();
  await started;
  onBegun(); // If it ends before the proof, the received notifications are still printed.
}

const UNANSWERED =
  'The server has not answered: are host and port of the URL right, and can they be reached from here?';
const UNPROVEN =
  'LISTEN was acknowledged, but no notification has arrived: is there a pooler in transaction mode? More time tells.';

/** Replaces the module's error, which would suggest the module's options. */
function startFailure(error: unknown, listener: PgListener, timeout: number, otherwise: string): unknown {
  if (isPgNotifyError(error) && error.permanent === true) return error;
  const last = listener.currentStatus.lastFailure?.message ?? otherwise;
  return new PgNotifyError('connection', `Could not listen within ${timeout / 1_000} s (--timeout). ${last}`);
}

/** Aborted when the process gets a signal, or its output has no reader any more. A second signal ends it at once. */
function endOf({ gone }: Terminal, end: AbortController): AbortSignal {
  const onSignal = (): void => end.abort(ASKED_TO_END);
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, onSignal);
    end.signal.addEventListener('abort', () => process.off(name, onSignal), { once: true });
  }
  if (gone.aborted) end.abort();
  gone.addEventListener('abort', () => end.abort(), { once: true });
  return end.signal;
}

/** After Ctrl-C the process must not wait for a reader: output that is not read in a moment is dropped. */
function leaveSoon(): void {
  setTimeout(() => process.exit(0), LAST_MOMENT).unref();
}
