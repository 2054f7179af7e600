import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DecodedChannels } from '../../lib/consumers/decoded-channels.js';
import type { Backoff } from '../../lib/time/backoff.js';
import { PgListener } from '../../lib/listener/pg-listener.js';
import type { PgListenerOptions } from '../../lib/listener/listener-options.js';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';
import { readFacts } from '../../lib/session/session-facts.js';
import { consumerContext } from '../support/consumer-context.js';
import { FakeClock, FakeServer } from '../support/fake-server.js';
import { eventually } from '../support/recorder.js';
import { turn } from '../support/turn.js';

const CHANNELS = ['a', 'b', 'c'];

function setUp(options: Partial<PgListenerOptions> = {}) {
  const clock = new FakeClock();
  const server = new FakeServer(clock);
  const errors: unknown[] = [];
  const lines: string[] = [];
  const context = consumerContext({
    clock,
    onError: (error) => errors.push(error),
    onLine: (line) => lines.push(line),
  });
  const listener = new PgListener(
    {
      openSession: server.open,
      startup: { mode: 'background', timeout: 1_000 },
      reconnect: { minDelay: 100, maxDelay: 1_000, stableAfter: 10_000 },
      heartbeat: { interval: 10_000, timeout: 5_000, compareInterval: 60_000 },
      deliveryCheck: false,
      statementTimeout: 1_000,
      ...options,
    },
    context,
  );
  const channels = new DecodedChannels(listener, context);
  return { server, clock, errors, lines, listener, channels };
}

const transient = (): Error => new PgNotifyError('connection', 'refused', { permanent: false });
const permanent = (): Error => new PgNotifyError('connection', 'wrong password', { permanent: true });

/** One consumer, what it has seen, and what it must see by the rules of gaps. */
class Consumer {
  readonly seen: string[] = [];
  /** The session that covered it last; 0 before the first. */
  coveredBy = 0;
  detach: () => void = () => undefined;

  constructor(
    readonly channel: string,
    private readonly sessionNow: () => number,
    private readonly wasForgotten: () => boolean,
  ) {}

  readonly sink = {
    notification: ({ raw }: { raw: string }): void => {
      if (this.coveredBy !== this.sessionNow()) throw new Error(`${raw} came without a gap before it`);
      this.seen.push(raw);
    },
    gap: ({ reason }: { reason: string }): void => {
      const again = this.coveredBy === this.sessionNow();
      const expected = this.coveredBy === 0 ? 'start' : again ? 'relisten' : 'reconnect';
      if (reason !== expected) throw new Error(`${reason} instead of ${expected}`);
      if (again && !this.wasForgotten()) throw new Error('two gaps for one session');
      this.coveredBy = this.sessionNow();
      this.seen.push(reason);
    },
    complete: (): void => {
      this.seen.push('complete');
    },
  };
}

const command = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('attach' as const), channel: fc.constantFrom(...CHANNELS) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('detach' as const), index: fc.nat(20) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('notify' as const), channel: fc.constantFrom(...CHANNELS) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forget' as const), channel: fc.constantFrom(...CHANNELS) }) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constantFrom('accept', 'refuse', 'execute', 'reply', 'lose', 'sleep', 'beat', 'turn' as const),
    }),
  },
);

describe('PgListener', () => {
  it('keeps its promises however connects, losses, replies, subscribers and notifications interleave', () =>
    fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 80 }), fc.boolean(), async (commands, endsEarly) => {
        const { server, clock, errors, listener, channels } = setUp();
        const consumers: Consumer[] = [];
        const attach = (channel: string): void => {
          const consumer = new Consumer(
            channel,
            () => server.current?.processId ?? -1,
            () => server.current?.forgotten.has(channel) ?? false,
          );
          consumers.push(consumer);
          consumer.detach = channels.subscribe(channel, consumer.sink);
        };
        let sent = 0;
        const notify = (channel: string): void => {
          const expecting = consumers.filter((consumer) => consumer.channel === channel && consumer.coveredBy > 0);
          const covered = expecting.filter(({ coveredBy }) => coveredBy === server.current?.processId);
          const raw = `message ${(sent += 1)}`;
          if (!server.current?.notify(channel, raw)) return;
          for (const { seen } of covered) expect(seen.at(-1)).toBe(raw);
        };
        await listener.start();
        for (const step of commands) {
          if (step.do === 'attach') attach(step.channel);
          else if (step.do === 'detach') consumers.splice(step.index, 1)[0]?.detach();
          else if (step.do === 'notify') notify(step.channel);
          else if (step.do === 'forget') server.current?.forget(step.channel);
          else if (step.do === 'beat') clock.advance(10_000);
          else if (step.do === 'accept') server.accept();
          else if (step.do === 'refuse') server.refuse(transient());
          else if (step.do === 'execute') server.current?.execute();
          else if (step.do === 'reply') server.current?.reply();
          else if (step.do === 'lose') server.current?.destroy(transient());
          else if (step.do === 'sleep') clock.advance(1_000);
          else await turn();
          expect(server.live.length).toBeLessThanOrEqual(1);
        }
        if (!endsEarly) {
          await heal(server, clock, listener);
          const wanted = new Set(consumers.map(({ channel }) => channel));
          expect(server.current?.listening).toEqual(wanted);
          for (const consumer of consumers) expect(consumer.coveredBy).toBe(server.current?.processId);
          for (const channel of wanted) notify(channel);
        }
        await listener.stop();
        const { attempts } = server;
        clock.advance(1_000_000);
        await turn();
        expect(server.attempts).toBe(attempts);
        expect(server.live).toEqual([]);
        expect(clock.sleeping).toBe(0);
        for (const { seen } of consumers) expect(seen.filter((event) => event === 'complete')).toHaveLength(1);
        for (const { seen } of consumers) expect(seen.at(-1)).toBe('complete');
        expect(errors).toEqual([]);
      }),
      { numRuns: 2_000 },
    ));

  it('starts the delays over only after a session that listened for a while', async () => {
    const { server, clock, listener } = setUp({ reconnect: { minDelay: 100, maxDelay: 100_000, stableAfter: 10_000 } });
    const delays: number[] = [];
    const { backoff } = listener as unknown as { readonly backoff: Backoff };
    const next = backoff.next.bind(backoff);
    backoff.next = () => {
      const delay = next();
      delays.push(delay);
      return delay;
    };
    await listener.start();
    const live = async (uptime: number): Promise<void> => {
      await turn();
      server.accept();
      await turn();
      await replyAll(server);
      clock.advance(uptime);
      server.current?.destroy(transient());
      await turn();
      clock.advance(100_000);
      await turn();
    };
    for (let i = 0; i < 12; i += 1) await live(9_999);
    const flapping = delays.splice(0);
    await live(10_000);
    expect(Math.max(...flapping)).toBeGreaterThan(100); // Fails by chance once in some 10^22 runs.
    expect(delays[0]).toBeLessThanOrEqual(100);
    await listener.stop();
  });

  it('tries again at once when another connection has reached the server, but not more than once a second', async () => {
    const { server, clock, listener } = setUp({ reconnect: { minDelay: 100_000, maxDelay: 100_000, stableAfter: 0 } });
    listener['backoff'].next = () => 100_000;
    await listener.start();
    await turn();
    server.refuse(transient());
    await turn();
    expect(server.isAsked).toBe(false);
    listener.serverAnswered();
    await turn();
    expect(server.isAsked).toBe(false); // The attempt before is not a second old.
    clock.advance(1_000);
    listener.serverAnswered();
    await turn();
    expect(server.isAsked).toBe(true);
    server.accept();
    await turn();
    await replyAll(server);
    expect(listener.currentStatus.state).toBe('listening');
    await listener.stop();
  });

  it('keeps the consumers apart: one that throws is reported, the others are served', async () => {
    const { server, errors, listener } = setUp();
    const seen: string[] = [];
    const bad = (): never => {
      throw new Error('bad consumer');
    };
    listener.subscribe('a', { notification: bad, gap: bad, complete: bad });
    listener.subscribe('a', {
      notification: ({ raw }) => seen.push(raw),
      gap: ({ reason }) => seen.push(reason),
      complete: () => seen.push('complete'),
    });
    await listener.start();
    server.accept();
    await turn();
    await replyAll(server);
    server.current?.notify('a', 'one');
    await listener.stop();
    expect(seen).toEqual(['start', 'one', 'complete']);
    expect(errors).toHaveLength(3);
  });

  it('gives a consumer that is attached during a gap its own start once', async () => {
    const { server, errors, listener, channels } = setUp();
    const seen: string[] = [];
    const log = (who: string) => ({ gap: ({ reason }: { reason: string }) => void seen.push(`${who} ${reason}`) });
    let attached = false;
    const attachOnce = (): void => {
      if (!attached) channels.subscribe('b', log('inner'));
      attached = true;
    };
    channels.subscribe('a', { gap: attachOnce }); // The gap of `a` comes first, when `b` is covered but not told yet.
    channels.subscribe('b', log('first'));
    await listener.start();
    server.accept();
    await turn();
    await replyAll(server);
    expect(seen.toSorted()).toEqual(['first start', 'inner start']);
    expect(errors).toEqual([]);
    await listener.stop();
  });
});

describe('the startup policy', () => {
  it('retries what may pass, and ends at once with what cannot, if it is "wait"', async () => {
    const { server, clock, listener } = setUp({ startup: { mode: 'wait', timeout: 10_000 } });
    const outcome = listener.start().catch((error: Error) => error.message);
    for (let i = 0; i < 3; i += 1) {
      await turn();
      server.refuse(transient());
      await turn();
      clock.advance(1_000);
    }
    await turn();
    server.refuse(permanent());
    expect(await outcome).toBe('wrong password');
    expect(listener.currentStatus.state).toBe('closed');
    expect(clock.sleeping).toBe(0);
  });

  it('has one deadline for the connection and the first LISTENs together if it is "wait"', async () => {
    const { server, clock, listener } = setUp({ startup: { mode: 'wait', timeout: 10_000 } });
    const started = listener.start();
    await turn();
    clock.advance(6_000);
    server.accept();
    await turn();
    await replyAll(server);
    await started;
    listener.subscribe('a', { notification: () => undefined, gap: () => undefined, complete: () => undefined });
    const outcome = listener.start().catch((error: Error) => error.message);
    await turn();
    clock.advance(4_000);
    expect(await outcome).toMatch(/^Could not listen within the startup timeout of 10000 ms\./);
  });

  it('counts only the time that it waits itself, not that of other modules, if it is "wait"', async () => {
    const { server, clock, listener } = setUp({ startup: { mode: 'wait', timeout: 10_000 } });
    const started = listener.start();
    await turn();
    server.accept();
    await turn();
    await replyAll(server);
    await started;
    clock.advance(50_000); // A migration of another module, say.
    listener.subscribe('a', { notification: () => undefined, gap: () => undefined, complete: () => undefined });
    const outcome = listener.start().then(
      () => 'started',
      (error: Error) => error.message,
    );
    await turn();
    clock.advance(9_999);
    await turn();
    await replyAll(server);
    expect(await outcome).toBe('started');
    await listener.stop();
  });

  it('never rejects, and retries even what cannot pass, if it is "background"', async () => {
    const { server, clock, lines, listener } = setUp({ startup: { mode: 'background', timeout: 10 } });
    await listener.start();
    await turn();
    server.refuse(permanent());
    await turn();
    expect(lines).toEqual(['Not listening yet: wrong password Trying again.']);
    clock.advance(1_000);
    await turn();
    server.accept();
    await turn();
    await replyAll(server);
    expect(listener.currentStatus.state).toBe('listening');
    await listener.stop();
  });
});

it('announces what a check has shown to be lost, although the next one arrived', async () => {
  const delivers = { current: true, sent: 0 };
  const { server, clock, listener, channels } = setUp({
    heartbeat: { interval: 1_000_000, timeout: 5_000, compareInterval: 60_000 },
    deliveryCheck: {
      interval: 60_000,
      timeout: 3_000,
      onStartFailure: 'warn',
      openSender: senderOf((channel, payload) => {
        delivers.sent += 1;
        if (delivers.current) server.current?.notify(channel, payload, 8);
      }),
    },
  });
  const seen: unknown[] = [];
  channels.subscribe('a', {
    notification: ({ payload }) => seen.push(payload),
    gap: ({ reason }) => seen.push(reason),
  });
  await listener.start();
  server.accept();
  const until = async (holds: () => boolean): Promise<void> => {
    await eventually(async () => (await replyAll(server), holds()), Boolean);
  };
  await until(() => listener.currentStatus.delivery?.verdict === 'verified');
  delivers.current = false;
  await until(() => clock.sleeping > 1);
  clock.advance(60_000);
  await until(() => delivers.sent === 2);
  delivers.current = true;
  await until(() => clock.sleeping > 1);
  clock.advance(3_000);
  await until(() => delivers.sent === 3);
  server.current?.notify('a', 'after');
  expect(seen).toEqual(['start', 'undelivered', 'after']);
  expect(listener.currentStatus.delivery?.verdict).toBe('verified');
  await listener.stop();
});

describe('a question of the application', () => {
  /** A listener of one channel, whose heartbeats and checks are under way, and how often the queue was asked for. */
  async function listening() {
    const fakes = setUp({
      deliveryCheck: {
        interval: 60_000,
        timeout: 3_000,
        onStartFailure: 'warn',
        openSender: senderOf((channel, payload) => void fakes.server.current?.notify(channel, payload, 8)),
      },
    });
    const { server, listener, channels } = fakes;
    const gaps: string[] = [];
    channels.subscribe('a', { gap: ({ reason }) => void gaps.push(reason) });
    await listener.start();
    server.accept();
    await turn();
    const session = server.current!;
    const asked: string[] = [];
    const query = session.query.bind(session);
    session.query = (statement) => {
      if (statement.text.includes('queue_usage')) asked.push(statement.text);
      return query(statement);
    };
    const until = (holds: () => boolean): Promise<boolean> =>
      eventually(async () => (await replyAll(server), holds()), Boolean);
    return { ...fakes, session, gaps, asked, until };
  }

  it('is asked once for all who ask meanwhile', async () => {
    const { listener, asked, until } = await listening();
    const answers = Promise.all([1, 2, 3].map(() => listener.queueUsage()));
    await until(() => asked.length > 0);
    await answers;
    expect(asked).toHaveLength(1);
    const next = listener.queueUsage();
    await until(() => asked.length > 1);
    await next;
    await listener.stop();
  });

  it('keeps neither a check nor a heartbeat from its end when it is asked without a pause', async () => {
    const { listener, clock, session, gaps, asked, until } = await listening();
    const poll = async (): Promise<void> => {
      while (!listener.isStopping) await listener.queueUsage().catch(() => undefined); // Fails when it is stopped.
    };
    const polling = Promise.all([1, 2, 3].map(poll));
    await until(() => listener.currentStatus.delivery?.verdict === 'verified');
    const before = asked.length;
    session.forget('a');
    clock.advance(60_000);
    await until(() => gaps.length === 2);
    expect(gaps).toEqual(['start', 'relisten']);
    expect(asked.length).toBeGreaterThan(before);
    await listener.stop();
    await polling;
  });
});

/** A second connection that sends in this way. */
function senderOf(send: (channel: string, payload: string) => void) {
  return () =>
    Promise.resolve({
      endpoint: 'sender:5432',
      announcedPid: 8,
      notify: (channel: string, payload: string) => {
        send(channel, payload);
        return Promise.resolve(readFacts({ backend_pid: 8 }));
      },
      close: () => Promise.resolve(),
    });
}

/** Answers what is asked, and what is asked then. */
async function replyAll(server: FakeServer): Promise<void> {
  for (let i = 0; i < 5; i += 1) {
    server.current?.reply();
    await turn();
  }
}

/** Lets every attempt, statement and delay succeed until the listener has what it wants. */
async function heal(server: FakeServer, clock: FakeClock, listener: PgListener): Promise<void> {
  let ready = false;
  const waiting = listener.ready().then(() => (ready = true));
  for (let i = 0; i < 50 && !ready; i += 1) await advance(1_000);
  await waiting;
  for (let i = 0; i < 10; i += 1) await advance(60_000); // The heartbeat finds what the server has dropped.
  await listener.ready();

  async function advance(milliseconds: number): Promise<void> {
    await turn();
    clock.advance(milliseconds);
    server.accept();
    await turn();
    server.current?.reply();
    await turn();
  }
}
