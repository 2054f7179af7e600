import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { MarkdownPage } from '../../dev/markdown/markdown-page.js';
import { eventLog } from '../../lib/event-log/event-log-sql.js';
import { CommandLine } from '../support/command-line.js';
import { runHere } from '../support/command-line-here.js';
import type { CommandResult } from '../support/command-line.js';
import { eventLogSuite } from '../support/event-log-suite.js';
import { drain } from '../support/event-store-contract.js';

const PROMPT = '$ npx nest-pg-notify ';
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g;

describe('docs/command-line.md', () => {
  const suite = eventLogSuite({ server: {} });
  let lines: readonly string[];
  /** The first column of the table of doctor's checks. */
  let checks: readonly string[];

  beforeAll(async () => {
    const text = await readFile(join(import.meta.dirname, '../../docs/command-line.md'), 'utf8');
    const [table = ''] = /(?<=^\| check .*\n)(?:\|.*\n)+/m.exec(text) ?? [];
    checks = [...table.matchAll(/^\| `(\w+)`/gm)].map(([, check]) => check!);
    const page = new MarkdownPage(text);
    // With a prompt after each block, at which what the last command of the block prints ends.
    lines = page.codeBlocks
      .filter(({ info }) => info[0] === 'console')
      .flatMap(({ code }) => [...code.trimEnd().split('\n'), '$']);
  });

  afterEach(() => CommandLine.endAll());

  /** What the page says that a command prints. */
  const shownFor = (command: string): readonly string[] => {
    const first = lines.indexOf(PROMPT + command) + 1;
    expect(first).toBeGreaterThan(0);
    const end = lines.findIndex((line, index) => index >= first && line.startsWith('$'));
    return lines.slice(first, end);
  };

  /** Lines without what differs from one run and one server to another: times and numbers. */
  const alike = (printed: readonly string[]): string[] =>
    printed.map((line) => line.replaceAll(TIME, 'TIME').replaceAll(/\d+/g, '0'));

  const environment = () => ({ DATABASE_URL: suite.database.url });
  const run = (...args: readonly string[]): Promise<CommandResult> => runHere(args, environment());

  it('shows what doctor prints where all is well', async () => {
    const { name, url } = await suite.createDatabase(); // It says more of one with an event log.
    await suite.database.query(`ALTER DATABASE ${name} SET idle_session_timeout = '5min'`);
    const { code, stdout } = await runHere(['doctor'], { DATABASE_URL: url });
    expect(code).toBe(0);
    expect(alike(stdout.replaceAll(name, 'shop').trimEnd().split('\n'))).toEqual(alike(shownFor('doctor')));
  });

  it('has each check of doctor in its table, in the order in which they are printed', async () => {
    const database = await suite.createDatabase();
    await database.query(eventLog().up);
    const { stdout } = await runHere(['doctor', '--json', '--publisher-url', database.url], {
      DATABASE_URL: database.url,
    });
    const { findings } = JSON.parse(stdout) as { findings: readonly { check: string }[] };
    expect(checks.length).toBeGreaterThan(8);
    expect(checks).toEqual(findings.map(({ check }) => check));
  });

  it('shows what notify prints', async () => {
    const payload = '{"id":1,"status":"paid"}';
    expect((await run('notify', 'orders', payload)).stdout.trimEnd().split('\n')).toEqual(
      shownFor(`notify orders '${payload}'`),
    );
    expect((await run('notify', 'job_queue')).stdout.trimEnd().split('\n')).toEqual(shownFor('notify job_queue'));
  });

  it('shows what the check of a trigger prints that is missing', async () => {
    await suite.database.query('CREATE TABLE orders (id int PRIMARY KEY)');
    const command = 'trigger orders --channel order_changes --key id --check';
    const { code, stdout } = await run(...command.split(' '));
    expect({ code, lines: stdout.trimEnd().split('\n') }).toEqual({ code: 1, lines: shownFor(command) });
  });

  it('shows what the status of events prints of a consumer that is well, one with dead letters and a paused one', async () => {
    const command = 'events status --max-lag 60';
    const shown = shownFor(command);
    const publish = (channel: string, count: number): Promise<void> =>
      suite.publish(Array.from({ length: count }, () => ({ channel })));
    const consumers = ['billing', 'projection', 'to-kafka'] as const;
    for (const consumer of consumers) {
      const [, owner = 'nobody'] = /owned by ([^,]+),/.exec(shown.find((line) => line.includes(consumer))!) ?? [];
      const store = suite.store(owner);
      await store.register([{ consumer, shards: 1, channels: [consumer], from: 'now' }]);
      if (consumer === 'to-kafka') {
        await store.pause(consumer);
        continue;
      }
      await publish(consumer, 3);
      const shard = store.shard({ consumer, shard: 0, shards: 1, channels: [consumer] });
      const claim = (await shard.claim())!;
      const { events, cursor } = await drain(shard, claim);
      const failed = events.map(({ seq, key }, index) => {
        const state = index === 0 ? ('retry' as const) : ('dead' as const);
        return { seq, key, state, attempts: 1, delay: 60_000, error: 'no' };
      });
      await shard.settle(claim.epoch, cursor, { failed: consumer === 'projection' ? failed : [] });
    }
    await publish('projection', 3);
    await publish('to-kafka', 120);
    const { code, stdout } = await run(...command.split(' '));
    const withoutTimes = (printed: readonly string[]): string[] =>
      printed.map((line) => line.replaceAll(/\d+\.\d s/g, '0 s'));
    expect({ code, printed: withoutTimes(stdout.trimEnd().split('\n')) }).toEqual({
      code: 1,
      printed: withoutTimes(shown),
    });
  });

  it('shows what listen prints while the server is restarted', async () => {
    const listening = new CommandLine(['listen', 'orders', 'products'], environment());
    await listening.untilLine((line) => line.includes(' products listening from here on'));
    await run('notify', 'orders', '{"id":1,"status":"new"}');
    await listening.untilLine((line) => line.includes('"new"'));
    await suite.server.stop('fast');
    await listening.notes.until((notes) => notes.some((note) => note.includes('ECONNREFUSED')));
    await suite.server.start();
    await listening.untilLine((line) => line.includes(' products gap (reconnect)'));
    await run('notify', 'orders', '{"id":2,"status":"paid"}');
    await listening.untilLine((line) => line.includes('"paid"'));

    const shown = alike(shownFor('listen orders products'));
    const isOnOutput = (line: string): boolean => /^(-- )?TIME/.test(line);
    expect(alike(listening.lines.items)).toEqual(shown.filter(isOnOutput));
    // An attempt may meet the server while it comes or goes, and then fails in other ways.
    const isOther = (note: string): boolean => note.startsWith('Still not listening') && !note.includes('ECONNREFUSED');
    const notes = alike(listening.notes.items).filter((note) => !isOther(note));
    expect(notes).toEqual(shown.filter((line) => !isOnOutput(line)));
  });
});
