import { describe, expect, it } from '@jest/globals';
import { NumberedMessages } from './numbered.js';

describe('NumberedMessages', () => {
  it('finishes when all have come, and counts none lost, doubled or reordered', async () => {
    const messages = new NumberedMessages(3);
    messages.begin();
    for (const number of [0, 1, 2]) messages.note(number);
    const { sequence, milliseconds, cpu } = await messages.finished;
    expect(sequence).toEqual({ expected: 3, received: 3, lost: 0, doubled: 0, reordered: 0, dropped: 0 });
    expect([milliseconds, cpu].every((value) => Number.isFinite(value) && value >= 0)).toBe(true);
  });

  it('leaves out what comes beyond the number that is measured', async () => {
    const messages = new NumberedMessages(2);
    messages.begin();
    for (const number of [0, 7, 1, 8]) messages.note(number);
    expect((await messages.finished).sequence).toMatchObject({ received: 2, doubled: 0, reordered: 0 });
  });

  it('reports a message that comes after a later one, unless no order is promised', async () => {
    const reorderedOf = async (isOrdered: boolean): Promise<number> => {
      const messages = new NumberedMessages(3, isOrdered);
      messages.begin();
      for (const number of [1, 0, 2]) messages.note(number);
      return (await messages.finished).sequence.reordered;
    };
    expect([await reorderedOf(true), await reorderedOf(false)]).toEqual([1, 0]);
  });

  it('reports a message that comes in place of another as doubled, and that one as lost', async () => {
    const messages = new NumberedMessages(2);
    messages.begin();
    messages.note(1);
    messages.note(1);
    expect((await messages.finished).sequence).toMatchObject({ received: 1, doubled: 1, lost: 1 });
  });
});
