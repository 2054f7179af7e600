import { describe, expect, it } from '@jest/globals';
import { faultOf, SequenceCheck } from './sequence-check.js';

/** Checks the arrivals of the messages 10, 11, 12, 13. */
function check(arrivals: readonly number[]): SequenceCheck {
  const checked = new SequenceCheck(10, 4);
  for (const number of arrivals) checked.note(number);
  return checked;
}

describe('SequenceCheck', () => {
  it('finds no fault if each message arrives once and in order', () => {
    const result = check([10, 11, 12, 13]).result(0);
    expect(result).toEqual({ expected: 4, received: 4, lost: 0, doubled: 0, reordered: 0, dropped: 0 });
    expect(faultOf(result)).toBeUndefined();
  });

  it.each([
    ['the first', [11, 12, 13]],
    ['one in the middle', [10, 11, 13]],
    ['the last', [10, 11, 12]],
  ])('reports %s as lost if it does not arrive', (_, arrivals) => {
    expect(faultOf(check(arrivals).result(0))).toBe('1 lost');
  });

  it('reports a message that arrives twice as doubled, not as reordered', () => {
    expect(faultOf(check([10, 11, 12, 11, 13, 13]).result(0))).toBe('2 doubled');
  });

  it('reports a message that arrives after a later one as reordered, not as lost', () => {
    expect(faultOf(check([10, 12, 11, 13]).result(0))).toBe('1 reordered');
  });

  it('reports a message that was never sent as doubled', () => {
    expect(faultOf(check([9, 10, 11, 12, 13, 14, Number.NaN]).result(0))).toBe('3 doubled');
  });

  it('accepts missing messages that the receiver announced as dropped', () => {
    expect(faultOf(check([12, 13]).result(2))).toBeUndefined();
  });

  it('reports missing messages beyond the announced drops as lost', () => {
    expect(faultOf(check([13]).result(2))).toBe('1 lost');
  });

  it('reports drops that were announced although everything arrived', () => {
    expect(faultOf(check([10, 11, 12, 13]).result(2))).toBe('2 announced as dropped, but 0 missing');
  });

  it('accepts any order between lanes, but not within one', () => {
    const checked = new SequenceCheck(10, 5, 2); // The lanes 10, 12, 14 and 11, 13.
    for (const number of [10, 12, 11, 14]) checked.note(number);
    expect(checked.hasLast).toBe(false);
    checked.note(13);
    expect(checked.hasLast).toBe(true);
    expect(faultOf(checked.result(0))).toBeUndefined();

    const disordered = new SequenceCheck(10, 5, 2);
    for (const number of [10, 14, 12, 11, 13]) disordered.note(number);
    expect(faultOf(disordered.result(0))).toBe('1 reordered');
  });

  it('has the last message of fewer messages than lanes', () => {
    const checked = new SequenceCheck(10, 2, 4);
    for (const number of [11, 10]) checked.note(number);
    expect([checked.hasLast, faultOf(checked.result(0))]).toEqual([true, undefined]);
  });

  it('knows whether the last message has arrived', () => {
    expect([check([10, 11, 12]).hasLast, check([13]).hasLast]).toEqual([false, true]);
  });
});
