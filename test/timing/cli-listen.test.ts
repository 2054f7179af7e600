import { expect, it } from '@jest/globals';
import { appSuite } from '../support/app/app-suite.js';
import { CommandLine } from '../support/command-line.js';
import { describeWithPgBouncer, PgBouncer } from '../support/pgbouncer.js';

const suite = appSuite();

describeWithPgBouncer('listen behind PgBouncer in transaction mode', () => {
  // Time enough for LISTEN to be acknowledged, and too little for a verdict about the delivery.
  it('names the pooler as the likely cause if there is no time to find out', async () => {
    const bouncer = suite.use(await PgBouncer.start(suite.database.url, 'transaction'));
    const { code, stderr } = await CommandLine.run(['listen', 'orders', '--timeout', '0.4', '--url', bouncer.url]);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      / within 0\.4 s \(--timeout\)\. LISTEN was acknowledged, but .+ a pooler in transaction mode\?/,
    );
  });
});
