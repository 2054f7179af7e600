import { expect } from '@jest/globals';
import type { PgGap, PgNotifyModuleOptions, PgNotifyStatus } from 'nest-pg-notify';
import { filter, firstValueFrom } from 'rxjs';
import { PgListener } from '../../lib/listener/pg-listener.js';
import { createApp } from './app.js';
import type { TestApp } from './app.js';
import { eventually, Recorder } from './recorder.js';

/** Short enough for a test to see it happen. */
export const QUICK = {
  reconnect: { minDelay: 10, maxDelay: 100 },
  heartbeat: { interval: 300, timeout: 300 },
} as const;

/** An application under faults, and what it has told since it was created. */
export interface FaultApp extends TestApp {
  /** The changes of state, in order. */
  readonly states: Recorder<PgNotifyStatus>;
  /** What consumers of the channel `watched` were told, in order: the reasons of gaps, and payloads. */
  readonly seen: Recorder<unknown>;
  readonly gaps: Recorder<PgGap>;
}

/** Creates an application that watches one channel, with options that make it react quickly. Nothing is connected yet. */
export async function createFaultApp(options: PgNotifyModuleOptions): Promise<FaultApp> {
  const subject = await createApp({ ...QUICK, ...options });
  const states = new Recorder<PgNotifyStatus>();
  const seen = new Recorder<unknown>();
  const gaps = new Recorder<PgGap>();
  const { service } = subject;
  service.status$.subscribe((status) => {
    if (states.items.at(-1)?.state !== status.state) states.push(status);
  });
  service.gaps('watched').subscribe((gap) => {
    gaps.push(gap);
    seen.push(gap.reason);
  });
  service.listen('watched').subscribe(({ payload }) => seen.push(payload));
  return { ...subject, states, seen, gaps };
}

/** Resolves with the first status that holds, the present one included. */
export function untilStatus(
  { service }: Pick<TestApp, 'service'>,
  holds: (status: PgNotifyStatus) => boolean,
): Promise<PgNotifyStatus> {
  return firstValueFrom(service.status$.pipe(filter(holds)));
}

/** Resolves when the application does not listen any more. Ask for it before the fault. */
export function untilLost(subject: Pick<TestApp, 'service'>): Promise<PgNotifyStatus> {
  return untilStatus(subject, ({ state }) => state === 'reconnecting');
}

/** Sends until a notification has arrived: after a fault, a connection that sends may be lost as well. */
export async function expectDelivery({ service, seen }: FaultApp, payload: string): Promise<void> {
  await eventually(
    () => service.notify('watched', payload).then(() => 'sent', String),
    (outcome) => outcome === 'sent',
  );
  await seen.until((items) => items.includes(payload));
}

/** Runs SQL in the session that listens. Nothing public hands it out: it is the test's privilege. */
export function askListeningSession({ app }: Pick<TestApp, 'app'>, text: string) {
  const link = app.get(PgListener, { strict: false })['link'];
  if (!link) throw new Error('There is no listening session.');
  return link.reconciler.whileQuiet(() => link.session.query({ text, timeout: 5_000 }));
}

/** What the session that listens now is made to ask from here on, in order. */
export function recordStatements({ app }: Pick<TestApp, 'app'>): Recorder<string> {
  const session = app.get(PgListener, { strict: false })['link']?.session;
  if (!session) throw new Error('There is no listening session.');
  const statements = new Recorder<string>();
  const query = session.query.bind(session);
  session.query = (statement) => {
    statements.push(statement.text);
    return query(statement);
  };
  return statements;
}

/** Asserts that nothing which was logged holds the password of a URL. */
export function expectNoSecret({ logger }: Pick<TestApp, 'logger'>, url: string): void {
  const { password } = new URL(url);
  if (password === '') return;
  const all = logger.texts().join('\n');
  expect(all).not.toContain(password);
  expect(all).not.toContain(decodeURIComponent(password));
}

/** The sockets and timers that keep this process alive. */
function openResources(): string[] {
  return process.getActiveResourcesInfo().filter((resource) => /^TCP|^TLS|Timeout|GETADDRINFO/.test(resource));
}

/** Runs what opens and closes an application, and asserts that it leaves nothing open. */
export async function leavingNothingOpen(work: () => Promise<void>): Promise<void> {
  const before = openResources().length;
  await work();
  await eventually(openResources, (resources) => resources.length <= before);
}
