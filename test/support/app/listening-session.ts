import { Recorder } from '../recorder.js';
import { internals } from './internals.js';
import type { TestApp } from './test-app.js';

/** Runs SQL in the session that listens, when nothing else does. */
export async function askListeningSession(
  subject: Pick<TestApp, 'app'>,
  text: string,
): Promise<readonly Record<string, unknown>[]> {
  const { session, reconciler } = internals(subject);
  return reconciler.whileQuiet(() => session.query({ text, timeout: 5_000 }));
}

/** The channels that the listening session itself reports, in order; those of delivery checks are left out. */
export async function channelsOnServer(subject: Pick<TestApp, 'app'>): Promise<string[]> {
  const rows = await askListeningSession(subject, 'SELECT pg_listening_channels() AS channel');
  const channels = rows.map(({ channel }) => String(channel));
  return channels.filter((channel) => !channel.startsWith('nest_pg_notify_check:')).toSorted();
}

/** The statements that the present listening session is given from here on, in order. */
export function recordStatements(subject: Pick<TestApp, 'app'>): Recorder<string> {
  const { session } = internals(subject);
  const statements = new Recorder<string>();
  const query = session.query.bind(session);
  session.query = (statement) => {
    statements.push(statement.text);
    return query(statement);
  };
  return statements;
}
