import { checkChannelName } from '../channel/channel-name.js';
import { encodePayload } from '../channel/payload-codec.js';
import { isPgNotifyError, messageOf } from '../pg-notify.errors.js';
import { PgPublisher } from '../publisher/pg-publisher.js';
import { SendingSessions } from '../publisher/sending-sessions.js';
import {
  CONNECTION_HELP,
  CONNECTION_OPTIONS,
  parseArguments,
  readConnection,
  readSeconds,
  UsageError,
} from './command.js';
import type { Command } from './command.js';

const DEFAULT_TIMEOUT = 10;

/** The index of the argument that is the payload. */
const PAYLOAD = 1;

/** Sends one notification. */
export const notify: Command = {
  name: 'notify',
  summary: 'sends a notification',
  usage: 'Usage: nest-pg-notify notify <channel> [payload] [--url <url>] [--timeout <seconds>] [--json]',
  help: `Sends a notification, and returns when PostgreSQL has committed it.

Usage: nest-pg-notify notify <channel> [payload] [--url <url>] [--timeout <seconds>] [--json]

The payload is sent as it is written: handlers get JSON where it is JSON, else the text. Without one, the empty text is
sent. Names of channels are case-sensitive: NOTIFY Orders in SQL goes to the channel orders.

Options:
${CONNECTION_HELP}
  --timeout <seconds>   how long it may take (${DEFAULT_TIMEOUT})
  --json                prints one object: { channel, size }

Exit codes:
  0   PostgreSQL has committed it
  1   it was not sent, or nobody knows, because the connection was lost before the answer
  2   wrong usage

Examples:
  nest-pg-notify notify job_queue
  nest-pg-notify notify orders '{"id":1,"status":"paid"}'
`,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { ...CONNECTION_OPTIONS, json: { type: 'boolean' } }, PAYLOAD);
    const [channel, payload = '', ...others] = positionals;
    if (channel === undefined) throw new UsageError('Which channel?');
    if (others.length > 0) throw new UsageError('One payload at a time. Put quotes around it.');
    const raw = checkPayload(checkChannelName(channel), payload);
    const timeout = readSeconds('--timeout', values.timeout, DEFAULT_TIMEOUT);
    const sessions = new SendingSessions({ connection: readConnection(values, context), connectTimeout: timeout });
    const publisher = new PgPublisher({
      openSession: (signal) => sessions.open({ applicationName: 'nest-pg-notify notify', timeout, signal }),
      timeout,
      idleTimeout: 0,
    });
    try {
      await publisher.publish(channel, raw);
    } finally {
      await publisher.close(timeout);
    }
    const size = Buffer.byteLength(raw);
    if (values.json) context.terminal.json({ channel, size });
    else context.terminal.line([`Sent to ${channel} (${size} bytes).`]);
    return 0;
  },
};

function checkPayload(channel: string, payload: string): string {
  try {
    return encodePayload(channel, 'text', payload);
  } catch (error) {
    throw isPgNotifyError(error) ? new UsageError(messageOf(error)) : error;
  }
}
