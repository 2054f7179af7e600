import { describe, expect, it } from '@jest/globals';
import { driverFailure } from '../../lib/executor/driver-failure.js';

const innermost = Object.assign(new Error('relation "orders" does not exist'), { code: '42P01' });

describe('driverFailure()', () => {
  it.each(['cause', 'driverError', 'original', 'nativeError'])(
    'finds what is wrapped in the property %s',
    (property) => {
      const wrapped = Object.assign(new Error('INSERT … canary'), { [property]: innermost, code: 'P2010' });
      expect(driverFailure(wrapped)).toEqual({ message: innermost.message, sqlState: '42P01' });
      const twice = Object.assign(new Error('canary'), { [property]: wrapped });
      expect(driverFailure(twice)).toEqual({ message: innermost.message, sqlState: '42P01' });
    },
  );

  it('ends with an error that is its own cause', () => {
    const circular: Error & { original?: unknown } = new Error('circular');
    circular.original = circular;
    expect(driverFailure(circular)).toEqual({ message: 'circular' });
  });
});
