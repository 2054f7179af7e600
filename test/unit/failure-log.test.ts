import { describe, expect, it } from '@jest/globals';
import { PgNotifyDiagnostics } from '../../lib/pg-notify.diagnostics.js';
import { PgNotifyErrorRoute } from '../../lib/pg-notify.error-route.js';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';
import type { PgNotifyLogger } from '../../lib/pg-notify.logger.js';

/** A route whose log is a list, at a time that the test says. */
function setUp() {
  const time = { now: 0 };
  const lines: string[] = [];
  const stacks: number[] = [];
  const logger = {
    error: (error: unknown, given: readonly unknown[] = [undefined]) => {
      lines.push(error instanceof Error ? error.message : String(error));
      stacks.push(given.length);
    },
    log: (line: string) => lines.push(line),
  } as unknown as PgNotifyLogger;
  const route = new PgNotifyErrorRoute(logger, new PgNotifyDiagnostics('test'), () => time.now);
  const told: PgNotifyError[] = [];
  route.errors$.subscribe((error) => told.push(error));
  const fail = (handler: string, cause: string, detail = ''): void =>
    route.report(
      new PgNotifyError('handler', `Handler ${handler} failed: ${cause}${detail}`, {
        handler,
        cause: new Error(cause),
      }),
    );
  return { route, lines, stacks, told, time, fail };
}

describe('the log of failures of handlers', () => {
  it('has the first of equal ones in full, one line a minute with their number, and the recovery', () => {
    const { route, lines, stacks, told, time, fail } = setUp();
    for (time.now = 0; time.now < 150_000; time.now += 10_000) fail('Worker.drain', 'refused', ` (retry ${time.now})`);
    route.recovered('Worker.drain');
    expect(lines).toEqual([
      'Handler Worker.drain failed: refused (retry 0)',
      'Handler Worker.drain failed: refused (retry 60000) (7 equal failures in 60 s.)',
      'Handler Worker.drain failed: refused (retry 120000) (13 equal failures in 120 s.)',
      'Worker.drain works again, after 15 failures in 150 s.',
    ]);
    expect(stacks).toEqual([1, 0, 0]);
    expect(told).toHaveLength(15);
  });

  it('has each in full that is of another handler or has another cause, or comes after a success', () => {
    const { route, lines, fail } = setUp();
    fail('a', 'refused');
    fail('b', 'refused');
    fail('a', 'no such table');
    route.recovered('a');
    fail('a', 'refused');
    expect(lines).toEqual([
      'Handler a failed: refused',
      'Handler b failed: refused',
      'Handler a failed: no such table',
      'a works again, after 2 failures in 0 s.',
      'Handler a failed: refused',
    ]);
  });

  it('has two causes that take turns in full once each, then one line a minute for each', () => {
    const { route, lines, time, fail } = setUp();
    for (time.now = 0; time.now < 100_000; time.now += 10_000)
      fail('a', time.now % 20_000 ? 'refused' : 'no such table');
    route.recovered('a');
    expect(lines).toEqual([
      'Handler a failed: no such table',
      'Handler a failed: refused',
      'Handler a failed: no such table (4 equal failures in 60 s.)',
      'Handler a failed: refused (4 equal failures in 60 s.)',
      'a works again, after 10 failures in 100 s.',
    ]);
  });

  it('has each cause in full of a handler that never fails twice for the same one, and keeps ten of them', () => {
    const { lines, fail } = setUp();
    for (let n = 0; n < 11; n += 1) fail('a', `order ${n}`);
    fail('a', 'order 10');
    fail('a', 'order 0');
    expect(lines).toEqual(
      [...Array.from({ length: 11 }, (_, n) => `order ${n}`), 'order 10 (2', 'order 0'].map((text) =>
        expect.stringContaining(text),
      ),
    );
  });

  it('keeps apart what has the same name, and says of each when it works again', () => {
    const { route, lines } = setUp();
    const [a, b] = [{}, {}];
    const fail = (channel: string, source: object): void =>
      route.report(
        new PgNotifyError('handler', `h failed for ${channel}`, { handler: 'h', channel, cause: new Error('refused') }),
        source,
      );
    fail('a', a);
    fail('b', b);
    route.recovered('h', b);
    fail('a', a);
    route.recovered('h', a);
    expect(lines).toEqual(['h failed for a', 'h failed for b', 'h works again, after 2 failures in 0 s.']);
  });

  it('counts the failures that it has not logged yet when another cause follows, and at the close', () => {
    const { route, lines, time, fail } = setUp();
    for (time.now = 0; time.now < 5_000; time.now += 1_000) fail('a', 'refused');
    fail('a', 'no such table');
    fail('a', 'no such table');
    fail('b', 'refused');
    route.close();
    expect(lines).toEqual([
      'Handler a failed: refused',
      'Handler a failed: refused (5 equal failures in 5 s.)',
      'Handler a failed: no such table',
      'Handler b failed: refused',
      'Handler a failed: no such table (2 equal failures in 0 s.)',
    ]);
  });
});
