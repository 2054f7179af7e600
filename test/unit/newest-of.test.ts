import { describe, expect, it } from '@jest/globals';
import { of, Subject, throwError } from 'rxjs';
import { newestOf } from '../recipes/live-queries/newest-of.js';

describe('newestOf(), the recipe for GraphQL subscriptions', () => {
  it('hands out each value to a reader that waits, and skips those that a slow one has missed', async () => {
    const source = new Subject<number>();
    const values = newestOf(source);
    const first = values.next();
    source.next(1);
    expect(await first).toEqual({ value: 1, done: false });
    for (const value of [2, 3, 4]) source.next(value);
    expect(await values.next()).toEqual({ value: 4, done: false });
  });

  it('unsubscribes at once when the reader leaves, and ends the read that is under way', async () => {
    const source = new Subject<number>();
    const values = newestOf(source);
    const pending = values.next();
    await values.return!();
    expect(source.observed).toBe(false);
    expect(await pending).toEqual({ value: undefined, done: true });
  });

  it('ends after the last value of a stream that completes', async () => {
    const read: number[] = [];
    for await (const value of newestOf(of(1, 2, 3))) read.push(value);
    expect(read).toEqual([3]);
  });

  it('rejects when the stream fails', async () => {
    await expect(newestOf(throwError(() => new Error('gone'))).next()).rejects.toThrow('gone');
  });
});
