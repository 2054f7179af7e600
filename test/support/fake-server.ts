import { ReceivedNotification } from '../../lib/channel/pg-notification.js';
import type { Clock } from '../../lib/time/clock.js';
import type { ListeningSession } from '../../lib/listener/channel-reconciler.js';
import { fingerprint } from '../../lib/listener/heartbeat.js';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';
import type { PgStatement } from '../../lib/session/pg-session.js';
import { readFacts } from '../../lib/session/session-facts.js';
import type { SessionFacts } from '../../lib/session/session-facts.js';

interface Pending {
  readonly statement: PgStatement;
  readonly resolve: (rows: readonly Record<string, unknown>[]) => void;
  readonly reject: (error: unknown) => void;
  executed: boolean;
}

/** A session whose server does nothing but what the test tells it to. */
export class FakeSession implements ListeningSession {
  readonly endpoint = 'fake:5432';
  readonly facts: SessionFacts;
  lastHeard: number;
  /** What the server has dropped without being asked. */
  readonly forgotten = new Set<string>();
  readonly lost: Promise<PgNotifyError>;
  /** What this backend listens to: LISTEN takes effect here before its reply is read. */
  readonly listening = new Set<string>();
  isLost = false;
  isStandby = false;
  isReadOnly = false;
  private pending: Pending | undefined;
  private settleLost: (error: PgNotifyError) => void = () => undefined;

  constructor(
    readonly processId: number,
    private readonly onNotification: (notification: ReceivedNotification) => void,
    private readonly clock: Clock,
    facts: Partial<SessionFacts> = {},
  ) {
    this.lastHeard = clock.now();
    this.facts = { ...readFacts({ backend_pid: processId, server_version: '18' }), ...facts };
    this.lost = new Promise((resolve) => (this.settleLost = resolve));
  }

  get lastHeardAt(): Date {
    return new Date(Date.now() - (this.clock.now() - this.lastHeard));
  }

  query(statement: PgStatement): Promise<readonly Record<string, unknown>[]> {
    if (this.isLost) return Promise.reject(new PgNotifyError('connection', 'lost'));
    if (this.pending) throw new Error('Two statements on their way.');
    return new Promise((resolve, reject) => {
      this.pending = { statement, resolve, reject, executed: false };
    });
  }

  applySettings(timeout: number): Promise<void> {
    return this.query({ text: 'SETTINGS', timeout }).then(() => undefined);
  }

  /** The server stops to listen to a channel, and tells nobody. */
  forget(channel: string): void {
    if (this.listening.delete(channel)) this.forgotten.add(channel);
  }

  /** The server commits the statement; nothing is told yet. */
  execute(): void {
    if (!this.pending || this.pending.executed) return;
    this.pending.executed = true;
    for (const [, command, name = ''] of this.pending.statement.text.matchAll(/(UNLISTEN|LISTEN) "((?:[^"]|"")*)"/g)) {
      if (command === 'LISTEN') this.listening.add(name);
      else this.listening.delete(name);
    }
  }

  /** The client reads the reply. */
  reply(): void {
    this.execute();
    const pending = this.pending;
    this.pending = undefined;
    if (!pending) return;
    this.lastHeard = this.clock.now();
    pending.statement.onReply?.();
    pending.resolve(this.answer(pending.statement));
  }

  /** The server takes nothing of the statement, and says why. */
  refuse(error: Error): void {
    const pending = this.pending;
    this.pending = undefined;
    pending?.reject(error);
  }

  private answer({ text, values }: PgStatement): readonly Record<string, unknown>[] {
    if (text.startsWith('SELECT pg_catalog.pg_listening_channels()')) {
      return [...this.listening].map((channel) => ({ channel }));
    }
    if (!text.includes('AS same')) return [];
    return [
      { same: fingerprint([...this.listening]) === values?.[1], standby: this.isStandby, read_only: this.isReadOnly },
    ];
  }

  notify(channel: string, raw: string, senderPid = 999): boolean {
    if (this.isLost || !this.listening.has(channel)) return false;
    this.lastHeard = this.clock.now();
    this.onNotification(new ReceivedNotification(channel, raw, senderPid, new Date()));
    return true;
  }

  destroy(reason: unknown): void {
    if (this.isLost) return;
    this.isLost = true;
    const error = reason instanceof PgNotifyError ? reason : new PgNotifyError('connection', 'lost');
    this.pending?.reject(error);
    this.settleLost(error);
  }

  close(): Promise<void> {
    this.destroy(new PgNotifyError('closed', 'closed'));
    return Promise.resolve();
  }
}

/** A server that lets in, refuses and drops as the test tells it to, and counts what was open at the same time. */
export class FakeServer {
  readonly sessions: FakeSession[] = [];
  attempts = 0;
  /** What the next sessions say of themselves. */
  facts: Partial<SessionFacts> = {};
  private attempt: { accept: () => void; refuse: (error: Error) => void } | undefined;

  constructor(private readonly clock: Clock) {}

  readonly open = (
    signal: AbortSignal,
    onNotification: (n: ReceivedNotification) => void,
  ): Promise<ListeningSession> => {
    if (this.live.length > 0) throw new Error('A second session is opened beside a live one.');
    this.attempts += 1;
    return abortable(signal, (resolve, reject) => {
      this.attempt = {
        accept: () => {
          const session = new FakeSession(this.sessions.length + 1, onNotification, this.clock, this.facts);
          this.sessions.push(session);
          resolve(session);
        },
        refuse: reject,
      };
    });
  };

  get live(): readonly FakeSession[] {
    return this.sessions.filter(({ isLost }) => !isLost);
  }

  get current(): FakeSession | undefined {
    return this.live[0];
  }

  get isAsked(): boolean {
    return this.attempt !== undefined;
  }

  accept(): void {
    this.attempt?.accept();
    this.attempt = undefined;
  }

  refuse(error: Error): void {
    this.attempt?.refuse(error);
    this.attempt = undefined;
  }
}

/** A clock that stands still until the test lets it go on. */
export class FakeClock implements Clock {
  private time = 0;
  private readonly sleepers = new Set<{ readonly until: number; readonly wake: () => void }>();

  now(): number {
    return this.time;
  }

  sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    const until = this.time + milliseconds;
    let sleeper: { readonly until: number; readonly wake: () => void } | undefined;
    return abortable<void>(signal, (wake) => {
      sleeper = { until, wake };
      this.sleepers.add(sleeper);
    }).finally(() => sleeper && this.sleepers.delete(sleeper));
  }

  advance(milliseconds: number): void {
    this.time += milliseconds;
    for (const sleeper of this.sleepers) {
      if (sleeper.until > this.time) continue;
      this.sleepers.delete(sleeper);
      sleeper.wake();
    }
  }

  get sleeping(): number {
    return this.sleepers.size;
  }
}

function abortable<T>(
  signal: AbortSignal,
  executor: (resolve: (value: T) => void, reject: (error: Error) => void) => void,
): Promise<T> {
  let onAbort: () => void = () => undefined;
  const promise = new Promise<T>((resolve, reject) => {
    onAbort = () => reject(signal.reason as Error);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort);
    executor(resolve, reject);
  });
  return promise.finally(() => signal.removeEventListener('abort', onAbort));
}
