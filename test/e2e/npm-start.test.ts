import { beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { appSuite } from '../support/app/app-suite.js';
import { eventually, Recorder } from '../support/recorder.js';

const ROOT = resolve(import.meta.dirname, '../..');

/** What `npm start` needs of this repository; it builds, and must not do so where others work. */
const NEEDED = ['lib', 'sample-app', 'dev', 'package.json', 'nest-cli.json', 'tsconfig.json', 'tsconfig.build.json'];

describe('npm start', () => {
  const suite = appSuite();
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-start-'));
    suite.cleanup(() => rm(folder, { recursive: true, force: true }));
    for (const name of NEEDED) await cp(join(ROOT, name), join(folder, name), { recursive: true });
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    // What it builds is not in question here, and checking its types takes most of the time.
    const path = join(folder, 'tsconfig.build.json');
    const config = JSON.parse(await readFile(path, 'utf8')) as { compilerOptions: object };
    const compilerOptions = { ...config.compilerOptions, noCheck: true, declaration: false };
    await writeFile(path, JSON.stringify({ ...config, compilerOptions }));
  });

  const isPosix = process.platform !== 'win32';
  const name = 'ends the shop when it gets SIGTERM alone, as from a supervisor';
  const itOnPosix = isPosix ? it : it.skip;
  // npm hands the signal on to the shell that it has started, and to nothing below that.
  itOnPosix(
    isPosix ? name : `${name} (skipped: Windows has no signals)`,
    async () => {
      const npm = spawn('npm', ['start'], {
        cwd: folder,
        env: { ...process.env, NODE_OPTIONS: '', PORT: '0', DATABASE_URL: suite.database.url },
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true, // A group of its own, so that a test that fails can end all of it.
      });
      try {
        const ended = once(npm, 'exit');
        const lines = new Recorder<string>();
        for (const input of [npm.stdout, npm.stderr]) createInterface({ input }).on('line', lines.push);
        const died = ended.then(() => Promise.reject(new Error(lines.items.join('\n'))));
        died.catch(() => undefined);
        await Promise.race([lines.until((all) => all.some((line) => line.includes('Open http'))), died]);
        expect(await shopConnections()).not.toHaveLength(0);

        process.kill(npm.pid!, 'SIGTERM');
        await ended;
        await eventually(shopConnections, ({ length }) => length === 0);
      } finally {
        try {
          process.kill(-npm.pid!, 'SIGKILL');
        } catch {
          // Nothing of it is left.
        }
      }
    },
    120_000,
  );

  /** What of the shop is connected to its database. */
  async function shopConnections(): Promise<unknown[]> {
    const { rows } = await suite.database.query(
      `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name <> 'test-admin'`,
    );
    return rows;
  }
});
