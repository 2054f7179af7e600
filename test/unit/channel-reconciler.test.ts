import { describe, expect, it, jest } from '@jest/globals';
import { ChannelReconciler } from '../../lib/listener/channel-reconciler.js';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';
import { FakeClock, FakeSession } from '../support/fake-server.js';
import { Recorder } from '../support/recorder.js';
import { turn } from '../support/turn.js';

/** A reconciler of a session that answers when the test says so, and what it has told. */
function setUp() {
  const told: string[] = [];
  const wanted = new Map<string, undefined>();
  const admit = ({ channel }: { channel: string }): void => {
    if (reconciler.admits(channel)) told.push(`${channel} notified`);
  };
  const clock = new FakeClock();
  const session = new FakeSession(7, admit, clock);
  const reconciler = new ChannelReconciler({
    session,
    wanted,
    timeout: 1_000,
    clock,
    onAcknowledged: (channels) => told.push(`${channels.join()} acknowledged`),
    onRefused: (channel) => told.push(`${channel} refused`),
    onSettled: () => undefined,
  });
  /** Wants exactly these, and has asked for what differs. */
  const want = async (...channels: readonly string[]): Promise<void> => {
    wanted.clear();
    for (const channel of channels) wanted.set(channel, undefined);
    reconciler.schedule();
    await turn();
  };
  const reply = async (): Promise<void> => {
    session.reply();
    await turn();
  };
  const refuse = async (): Promise<void> => {
    session.refuse(new PgNotifyError('connection', 'no such character', { sqlState: '22P05' }));
    await turn();
  };
  return { clock, session, reconciler, told, want, reply, refuse };
}

describe('an UNLISTEN in one statement with a LISTEN that is refused', () => {
  it('is asked for again', async () => {
    const { session, told, want, reply, refuse } = setUp();
    await want('old');
    await reply();
    await want('bad');
    await refuse();
    await reply();
    expect(told).toEqual(['old acknowledged', 'bad refused']);
    expect([...session.listening]).toEqual([]);
  });

  it('leaves a channel whose notifications are no proof of a later LISTEN: others have none yet', async () => {
    const { session, told, want, reply, refuse } = setUp();
    await want('old');
    await reply();
    await want('bad');
    await Promise.all([refuse(), want('bad', 'old', 'new')]);
    told.splice(0);
    session.notify('old', 'sent before the server has taken LISTEN "old"; LISTEN "new"');
    expect(told).toEqual([]);
    await reply();
    session.notify('old', 'after that');
    expect(told).toEqual(['old,new acknowledged', 'old notified']);
  });
});

it('asks for the next part of many channels before it announces the part that was acknowledged', async () => {
  const { session, told, want, reply } = setUp();
  const query = session.query.bind(session);
  jest.spyOn(session, 'query').mockImplementation((statement) => {
    told.push('asked');
    return query(statement);
  });
  await want(...Array.from({ length: 1_001 }, (_, index) => `channel${index}`));
  await reply();
  expect(told.map((line) => line.split(' ').at(-1))).toEqual(['asked', 'asked', 'acknowledged']);
});

it('gives the next turn to what is urgent, whatever else has waited for the statement under way, else to who came first', async () => {
  const { session, reconciler } = setUp();
  const begun = new Recorder<string>();
  const statement = reconciler.whileQuiet(() => session.query({ text: 'anything', timeout: 1_000 }));
  const others = [
    reconciler.whileQuiet(async () => begun.push('a check')),
    reconciler.whileQuiet(async () => begun.push('a heartbeat'), { urgent: true }),
    reconciler.whileQuiet(async () => begun.push('a question'), { urgent: true }),
    reconciler.whileQuiet(async () => begun.push('another check')),
  ];
  session.reply();
  await Promise.all([statement, ...others]);
  expect(begun.items).toEqual(['a heartbeat', 'a question', 'a check', 'another check']);
});

// The server compares each LISTEN with all channels that it has: what one statement takes grows with their number.
it('sends fewer channels at a time to a server that takes long, and more again when it is faster', async () => {
  const { clock, session, told, want, reply } = setUp();
  await want(...Array.from({ length: 5_000 }, (_, index) => `channel ${index}`));
  const sizes: number[] = [];
  for (const duration of [300, 600, 600, 600, 300, 300, 100, 100, 100, 100, 100]) {
    clock.advance(duration);
    await reply();
    sizes.push(told.pop()!.split(',').length);
  }
  expect(sizes).toEqual([1_000, 1_000, 500, 250, 125, 125, 125, 250, 500, 1_000, 125]);
  expect(session.listening.size).toBe(5_000);
});
