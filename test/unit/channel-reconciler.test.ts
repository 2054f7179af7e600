import { expect, it } from '@jest/globals';
import { ChannelReconciler } from '../../lib/listener/channel-reconciler.js';
import { FakeClock, FakeSession } from '../support/fake-server.js';
import { Recorder } from '../support/recorder.js';

it('gives the next turn to what is urgent, whatever else has waited for the statement under way', async () => {
  const session = new FakeSession(7, () => undefined, new FakeClock());
  const reconciler = new ChannelReconciler({
    session,
    wanted: new Map(),
    timeout: 1_000,
    onAcknowledged: () => undefined,
    onRefused: () => undefined,
    onSettled: () => undefined,
  });
  const begun = new Recorder<string>();
  const statement = reconciler.whileQuiet(() => session.query({ text: 'anything', timeout: 1_000 }));
  const others = [
    reconciler.whileQuiet(async () => begun.push('a check')),
    reconciler.whileQuiet(async () => begun.push('a heartbeat'), { urgent: true }),
  ];
  session.reply();
  await Promise.all([statement, ...others]);
  expect(begun.items).toEqual(['a heartbeat', 'a check']);
});
