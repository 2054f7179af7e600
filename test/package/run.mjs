/**
 * Checks the package as its users get it: packs it, installs the tarball beside several versions of its peers, and
 * compiles, loads and runs small applications there, against a real PostgreSQL. Needs `dist`, built before.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import startServer from '../support/global-setup.mjs';
import stopServer from '../support/global-teardown.mjs';
import { checkConsumer } from './consumer.mjs';
import { CONSUMERS } from './consumers.mjs';
import { Report } from './report.mjs';
import { checkTarball, pack } from './tarball.mjs';

/** Consumers at work at the same time: more would only take the network and the processors from each other. */
const CONCURRENCY = 2;

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => interruption.abort(new Error(`Interrupted by ${signal}.`)));
}

const report = new Report();
const folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-package-'));
try {
  await checkPackage();
} finally {
  await rm(folder, { recursive: true, force: true });
}
report.summarize();

async function checkPackage() {
  const { signal } = interruption;
  let tarball;
  await report.check('npm pack', async () => {
    tarball = await pack(folder, signal);
  });
  if (!tarball) return;
  await checkTarball(tarball, report, signal);
  try {
    if (!(await report.check('PostgreSQL starts', startServer))) return;
    await checkConsumers({ folder, tarball, report, signal });
  } finally {
    await stopServer();
  }
}

async function checkConsumers(context) {
  const queue = [...CONSUMERS];
  const work = async () => {
    for (let next = queue.shift(); next && !context.signal.aborted; next = queue.shift()) {
      await checkConsumer(next, context);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
}
