import { expect, it } from '@jest/globals';
import { StatusReporter } from '../../lib/listener/status-reporter.js';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';
import { consumerContext } from '../support/consumer-context.js';
import { FakeClock, FakeSession } from '../support/fake-server.js';

function setUp() {
  const lines: string[] = [];
  const push = (line: string): void => void lines.push(line);
  const facts = { gaps: 0, channels: { wanted: 0, acknowledged: 0 } };
  const reporter = new StatusReporter(consumerContext({ onLine: push }), () => facts);
  return { reporter, lines };
}

it('logs each cause once in an outage, even if two hosts fail in turn, and again in the next', () => {
  const { reporter, lines } = setUp();
  const refused = new PgNotifyError('connection', 'h1: refused');
  const standby = new PgNotifyError('connection', 'h2: a standby', { sqlState: '25006' });
  reporter.connecting();
  for (let attempt = 0; attempt < 10; attempt += 1) {
    reporter.failed(refused, false);
    reporter.failed(standby, false);
  }
  expect(lines).toEqual([
    'Not listening yet: h1: refused Trying again.',
    'Not listening yet: h2: a standby Trying again.',
  ]);
  reporter.listening(new FakeSession(7, () => undefined, new FakeClock()));
  reporter.failed(refused, false);
  reporter.failed(standby, false);
  reporter.failed(refused, false);
  expect(lines.slice(2)).toEqual([
    'Listening on fake:5432 (backend 7).',
    'Not listening any more: h1: refused Reconnecting; what is missed is announced as a gap.',
    'Still not listening: h2: a standby Trying again.',
  ]);
});

it('does not fill the log with texts that differ at each attempt', () => {
  const { reporter, lines } = setUp();
  reporter.connecting();
  for (let attempt = 0; attempt < 100; attempt += 1) {
    reporter.failed(new PgNotifyError('connection', `request ${attempt} failed`), false);
  }
  expect(lines).toHaveLength(10);
});
