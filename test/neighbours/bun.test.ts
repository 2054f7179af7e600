import { expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { appSuite } from '../support/app/app-suite.js';
import { listeningBackends, untilListeners } from '../support/backends.js';
import { Recorder } from '../support/recorder.js';

const ROOT = join(import.meta.dirname, '../..');
/** The program itself: the one that npm puts into node_modules/.bin needs an install script. */
const BUN = createRequire(import.meta.url).resolve('@oven/bun-linux-x64/bin/bun');

const suite = appSuite();

/** A folder with the application, and with the package installed: Bun does not let a package import itself by its name. */
async function install(): Promise<string> {
  await mkdir(join(ROOT, '.data'), { recursive: true });
  const folder = await mkdtemp(join(ROOT, '.data/bun-'));
  suite.cleanup(() => rm(folder, { recursive: true }));
  await cp(join(import.meta.dirname, 'bun'), folder, { recursive: true });
  await mkdir(join(folder, 'node_modules'));
  await symlink(ROOT, join(folder, 'node_modules/nest-pg-notify'));
  return folder;
}

it('Bun runs an application on the built package, which listens, handles, sends, heals and ends by itself', async () => {
  const { database } = suite;
  const folder = await install();
  const facts = new Recorder<unknown>();
  const bun = spawn(BUN, ['app.ts'], {
    cwd: folder,
    env: { ...process.env, NODE_OPTIONS: '', DATABASE_URL: database.url },
  });
  suite.cleanup(() => bun.kill('SIGKILL'));
  let errors = '';
  bun.stderr.on('data', (bytes) => (errors += String(bytes)));
  createInterface({ input: bun.stdout }).on('line', (line) => facts.push(JSON.parse(line)));
  const exited = once(bun, 'exit');
  const died = exited.then(([code]) => Promise.reject(new Error(`Bun has ended with ${String(code)}: ${errors}`)));
  died.catch(() => undefined);
  const until = (fact: unknown): Promise<unknown> => {
    const text = JSON.stringify(fact);
    return Promise.race([facts.until((all) => all.some((each) => JSON.stringify(each) === text)), died]);
  };

  await Promise.race([facts.until((all) => all.some((each) => (each as unknown[])[0] === 'started')), died]);
  expect(facts.items).toContainEqual([
    'started',
    {
      bun: expect.stringMatching(/^\d/),
      package: expect.stringMatching(/\/dist\/lib\/index\.js$/),
      state: 'listening',
      delivery: 'verified',
    },
  ]);
  await until(['gap', 'start']);
  await until(['work', 'start']);
  await database.query(`SELECT pg_notify('orders', '{"id":1}'), pg_notify('jobs', '')`);
  await until(['order', { id: 1 }]);
  await until(['work', 'notification']);
  bun.stdin.write('from Bun\n');
  await until(['order', 'from Bun']);

  const [pid] = await listeningBackends(database);
  await database.query('SELECT pg_terminate_backend($1)', [pid]);
  await until(['gap', 'reconnect']);
  bun.stdin.write('after the loss\n');
  await until(['order', 'after the loss']);

  bun.stdin.end();
  expect(await exited).toEqual([0, null]);
  expect(facts.items.at(-1)).toEqual(['closed', 'closed']);
  expect(errors).toBe('');
  await untilListeners(database, 0);
});
