import { describe, expect, it } from '@jest/globals';
import { CONTRACT_SUITES } from '../support/app/contract-suite.js';
import { recordStream } from '../support/record-stream.js';

describe.each(CONTRACT_SUITES)('the live queries of a registration on %s', (_name, createSuite) => {
  const suite = createSuite();

  it('load at the start, after notifications and after gaps, once for all subscribers', async () => {
    const subject = await suite.start();
    let loads = 0;
    const summary$ = subject.service.liveQuery(['a', 'b'], () => Promise.resolve((loads += 1)));
    const [first, second] = [recordStream(summary$), recordStream(summary$)];
    await subject.service.ready();
    await first.until(1);
    expect(loads).toBe(1);
    await suite.emit('b', '1');
    await first.until(2);
    expect(second.items).toEqual(first.items);
    await suite.disconnect(subject);
    const { length } = first.items;
    await suite.reconnect(subject);
    await first.until(length + 1);
    await subject.app.close();
    expect(await second.until((items) => items.includes('completed'))).toEqual(first.items);
    expect(first.items.slice(0, -1)).toEqual(Array.from({ length: loads }, (_, index) => index + 1));
  });
});
