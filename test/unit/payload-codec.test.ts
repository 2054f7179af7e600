import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodePayload, encodePayload, MAX_PAYLOAD_BYTES } from '../../lib/channel/payload-codec.js';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';

/** What JSON.parse gives back after JSON.stringify, `-0` aside, which JSON has no form for. */
const jsonValue = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as unknown);

describe('the codec', () => {
  it.each(['auto', 'json'] as const)('gives back every JSON value that fits (%s)', (codec) => {
    fc.assert(
      fc.property(jsonValue, (payload) => {
        fc.pre(Buffer.byteLength(JSON.stringify(payload)) <= MAX_PAYLOAD_BYTES);
        expect(decodePayload('c', codec, encodePayload('c', codec, payload))).toEqual(payload);
      }),
    );
  });

  it('gives back as "text" every text that PostgreSQL can store', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 1_000 }), (payload) => {
        fc.pre(!payload.includes('\0'));
        expect(decodePayload('c', 'text', encodePayload('c', 'text', payload))).toBe(payload);
      }),
    );
  });

  it('decodes as "auto" every text without an error, and loses no digit of a number', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.bigInt().map(String), fc.double().map(String)), (raw) => {
        const payload = decodePayload('c', 'auto', raw);
        expect(typeof payload === 'number' ? String(payload) : raw).toBe(raw);
      }),
    );
  });

  it('never makes a text that PostgreSQL would refuse', () => {
    fc.assert(
      fc.property(fc.constantFrom('auto', 'json', 'text'), fc.anything(), (codec, payload) => {
        try {
          const raw = encodePayload('c', codec, payload);
          expect(raw).not.toContain('\0');
          expect(raw.isWellFormed()).toBe(true);
          expect(Buffer.byteLength(raw)).toBeLessThanOrEqual(MAX_PAYLOAD_BYTES);
        } catch (error) {
          expect(error).toBeInstanceOf(PgNotifyError);
        }
      }),
    );
  });

  it('keeps "__proto__" an ordinary key', () => {
    const payload = decodePayload('c', 'auto', '{"__proto__":{"polluted":true}}') as object;
    expect(Object.getPrototypeOf(payload)).toBe(Object.prototype);
    expect(Object.keys(payload)).toEqual(['__proto__']);
  });

  it.each([
    ['a circular object', circular(), /cannot be written as JSON/],
    ['an object that refuses', { toJSON: refuse }, /cannot be written as JSON: no/],
    ['a promise that was not awaited', Promise.resolve(1), /cannot be written as JSON: It is a promise. Await it./],
    ['a bigint', 1n, /cannot be written as JSON/],
    ['a symbol', Symbol('s'), /is a symbol, which JSON has no form for/],
  ])('says why %s cannot be sent', (_what, payload, message) => {
    expect(() => encodePayload('orders', 'auto', payload)).toThrow(message);
    expect(() => encodePayload('orders', 'auto', payload)).toThrow('"orders"');
  });

  it('says that the codec "text" takes strings only', () => {
    expect(() => encodePayload('orders', 'text', { id: 1 })).toThrow(
      'The payload for channel "orders" must be a string, because the channel has the codec "text".',
    );
  });
});

function circular(): object {
  const value: { self?: object } = {};
  value.self = value;
  return value;
}

function refuse(): never {
  throw new Error('no');
}
