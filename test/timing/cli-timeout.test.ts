import { afterEach, describe, expect, it } from '@jest/globals';
import { appSuite } from '../support/app/app-suite.js';
import { CommandLine } from '../support/command-line.js';
import { diagnoseApart, expectNothingLeft } from '../support/diagnosis.js';
import { describeWithPgBouncer, PgBouncer } from '../support/pgbouncer.js';
import { eventually } from '../support/recorder.js';

describe('doctor', () => {
  const suite = appSuite({ proxy: 'all' });

  afterEach(() => CommandLine.endAll());

  it('ends within its timeout when no answer comes', async () => {
    const { database, proxy } = suite;
    proxy.blackhole();
    const begun = performance.now();
    const { code, findings } = await diagnoseApart(proxy.url(database.url), ['--timeout', '0.5']);
    expect(performance.now() - begun).toBeLessThan(8_000); // Node has to start, too.
    expect(code).toBe(1);
    expect(findings['connection']).toMatchObject({
      message: `127.0.0.1:${proxy.port}: no connection within 500 ms.`,
      remedy: 'Is the address right, and does a firewall let this application through?',
    });
  });

  it('ends within its timeout when answers stop coming', async () => {
    const { database, proxy } = suite;
    proxy.delay(50); // So that it can be caught between two answers.
    const begun = performance.now();
    const diagnosis = diagnoseApart(proxy.url(database.url), ['--timeout', '2.5']);
    await eventually(
      () => proxy.connectionCount,
      (count) => count === 2,
    );
    proxy.blackhole();
    const { code, findings } = await diagnosis;
    expect(performance.now() - begun).toBeLessThan(2_500 + 8_000);
    expect(code).toBe(1);
    expect(findings['connection']?.level).toBe('ok');
    expect(findings['delivery']).toMatchObject({ level: 'problem' });
    proxy.reapSwallowed(); // The server cannot know.
    await expectNothingLeft(database);
  });
});

describeWithPgBouncer('listen behind PgBouncer in transaction mode', () => {
  const suite = appSuite();

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
