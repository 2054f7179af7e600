import { describe, expect, it } from '@jest/globals';
import { definePgChannel } from 'nest-pg-notify';
import { z } from 'zod';
import { appSuite } from '../support/app/app-suite.js';
import { outcomeOf } from '../support/failures.js';
import { numbers } from '../support/numbers.js';
import { Recorder } from '../support/recorder.js';

describe('notify()', () => {
  const suite = appSuite();

  it('delivers in the order of the calls, across channels, arrays and calls that are refused', async () => {
    const Checked = definePgChannel('checked', { schema: z.number().min(0) });
    const { service } = await suite.start();
    const seen = new Recorder<string>();
    for (const channel of ['checked', 'plain'])
      service.listen(channel).subscribe(({ raw }) => seen.push(`${channel} ${raw}`));
    await service.ready();
    const outcomes = [
      service.notify(Checked, 1),
      service.notify('plain', 2),
      service.notifyMany('plain', numbers(2_500)),
      service.notify(Checked, -1),
      service.notify(Checked, 3),
      service.notifyMany(Checked, [4, -1, 5]),
      service.notify('plain', 6),
    ].map(outcomeOf);
    expect(await Promise.all(outcomes)).toEqual(['sent', 'sent', 'sent', 'payload', 'sent', 'not-sent', 'sent']);
    const expected = [
      'checked 1',
      'plain 2',
      ...numbers(2_500).map((id) => `plain ${id}`),
      'checked 3',
      'checked 4',
      'checked 5',
      'plain 6',
    ];
    expect(await seen.until(expected.length)).toEqual(expected);
  });
});
