import { describe, expect, it } from '@jest/globals';
import { definePgChannel } from 'nest-pg-notify';
import { z } from 'zod';
import { appSuite } from '../support/app/app-suite.js';
import { Recorder } from '../support/recorder.js';

describe('notify()', () => {
  const suite = appSuite();

  it('delivers in the order of the calls, although some schemas wait, refuse or never answer', async () => {
    const waiting = new Map<number, () => void>();
    const answered = (id: number): Promise<boolean> =>
      new Promise((resolve) => waiting.set(id, () => resolve(id !== 3)));
    const Slow = definePgChannel('slow', { schema: z.number().refine(answered) });
    const Quick = definePgChannel('quick', { schema: z.number() });
    const { app, service } = await suite.create({ publisher: { timeout: 1_000 } });
    const seen = new Recorder<string>();
    for (const channel of ['slow', 'quick'])
      service.listen(channel).subscribe(({ raw }) => seen.push(`${channel} ${raw}`));
    await app.init();
    await service.ready();

    const outcome = (call: Promise<void>): Promise<string> =>
      call.then(
        () => 'sent',
        ({ kind }: { kind: string }) => kind,
      );
    const calls = [
      service.notify(Slow, 1),
      service.notify(Quick, 2),
      service.notify(Slow, 3),
      service.notify(Quick, 4),
    ];
    const last = [service.notify(Slow, 5), service.notify(Quick, 6)];
    const outcomes = Promise.all([...calls, ...last].map(outcome));
    waiting.get(3)?.();
    waiting.get(1)?.();
    // The fifth is never answered: the publisher's time-out lets the sixth go on.
    expect(await outcomes).toEqual(['sent', 'sent', 'payload', 'sent', 'payload', 'sent']);
    expect(await seen.until(4)).toEqual(['slow 1', 'quick 2', 'quick 4', 'quick 6']);
  });
});
