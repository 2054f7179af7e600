import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Injectable } from '@nestjs/common';
import { definePgChannel, OnPgNotify } from 'nest-pg-notify';
import { roundsIntegers } from '../../lib/channel/rounded-integers.js';
import { appSuite } from '../support/app/app-suite.js';

describe('roundsIntegers()', () => {
  it.each([
    ['{"id":9007199254740993}', true],
    ['{"id": -9007199254740993 }', true],
    ['[1, 12345678901234567890]', true],
    ['9007199254740993', true],
    [`[${'9'.repeat(400)}]`, true],
    ['{"id":9007199254740991}', false],
    ['{"id":9007199254740994}', false],
    ['{"id":"9007199254740993"}', false],
    ['{"text":"a, 9007199254740993"}', false],
    [String.raw`{"text":"\\\", 9007199254740993"}`, false],
    ['{"price":1.9007199254740993}', false],
    ['{"price":9007199254740993.5}', false],
    ['{"price":9007199254740993e3}', false],
    ['{"id":1}', false],
    ['', false],
  ])('sees whether %s would be rounded: %s', (json, expected) => {
    expect(roundsIntegers(json)).toBe(expected);
  });

  it('agrees with a comparison digit by digit, wherever the integers stand', () => {
    const digits = fc
      .tuple(fc.constantFrom('', '-'), fc.bigInt({ min: 1n, max: 10n ** 24n }))
      .map(([sign, value]) => `${sign}${value}`);
    const other = fc.oneof(
      fc.jsonValue().map((value) => JSON.stringify(value)),
      digits.map((text) => JSON.stringify(`, ${text}`)),
    );
    const isKept = (text: string): boolean => BigInt(Number(text)) === BigInt(text);
    // What else stands there must hold no long integer of its own: JSON.stringify() prints doubles.
    const short = other.filter((json) => !/\d{16}/.test(json) || json.startsWith('"'));
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            digits.map((text) => ({ text })),
            short.map((json) => ({ json })),
          ),
        ),
        fc.constantFrom('', ' ', '\n'),
        (items, space) => {
          const json = `[${items.map((item) => space + ('text' in item ? item.text : item.json) + space).join(',')}]`;
          expect(Array.isArray(JSON.parse(json))).toBe(true);
          expect(roundsIntegers(json)).toBe(items.some((item) => 'text' in item && !isKept(item.text)));
        },
      ),
    );
  });
});

describe('an integer that JSON.parse() rounds', () => {
  const suite = appSuite({ bus: true });
  const LONG = '{"id":9007199254740993}';
  const raw = (name: string) => definePgChannel(name, { codec: 'text' });
  const Strict = definePgChannel('strict', { codec: 'json' });

  @Injectable()
  class Handlers {
    @OnPgNotify('orders')
    @OnPgNotify('bare')
    @OnPgNotify(Strict)
    @OnPgNotify(raw('texts'))
    take(): void {}
  }

  async function warningsAfter(...sent: readonly (readonly [channel: string, text: string])[]): Promise<string[]> {
    const { logger } = await suite.start({ providers: [Handlers] });
    for (const [channel, text] of sent) suite.bus.emit(raw(channel), text);
    await suite.bus.settled();
    return logger.texts('warn');
  }

  it('is named in one warning for each channel, without its digits', async () => {
    const warnings = await warningsAfter(
      ['orders', LONG],
      ['orders', LONG],
      ['strict', '9007199254740993'],
      ['strict', LONG],
    );
    expect(warnings).toEqual(
      ['orders', 'strict'].map((channel) =>
        expect.stringContaining(
          `A notification of the channel "${channel}" has an integer beyond 2^53, which JSON.parse() has rounded. Send it as text (id::text in SQL), or read it from raw.`,
        ),
      ),
    );
    expect(warnings.join()).not.toContain('900719925474099');
  });

  it('is not announced where nothing is rounded: in a text, as a bare number that stays text, with the codec text', async () => {
    expect(
      await warningsAfter(['orders', '{"id":"9007199254740993"}'], ['bare', '9007199254740993'], ['texts', LONG]),
    ).toEqual([]);
  });

  it('is found soon among many that are not rounded', async () => {
    const small = Array.from({ length: 1_000 }, () => ['orders', '{"id":1}'] as const);
    const long = Array.from({ length: 64 }, () => ['orders', LONG] as const);
    expect(await warningsAfter(...small)).toEqual([]);
    expect(await warningsAfter(...small, ...long)).toHaveLength(1);
  });
});
