import { execFile } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import * as root from 'nest-pg-notify';
import * as events from 'nest-pg-notify/events';
import * as triggers from 'nest-pg-notify/triggers';
import { runTypeScript } from '../support/node-typescript.js';

// The package test asks the same of the packed tarball, by import and by require().

/** The scripts of each peer, and those of lib/triggers, and of lib/events and lib/event-log. */
const NEST = /\/node_modules\/@nestjs\//;
const RXJS = /\/node_modules\/rxjs\//;
const PG = /\/node_modules\/pg\//;
const TRIGGERS = /\/lib\/triggers\/.+\.ts$/;
const EVENTS = /\/lib\/events?(?:-log)?\/.+\.ts$/;

describe('nest-pg-notify/triggers', () => {
  it('loads nothing of Nest, rxjs or pg', async () => {
    const loaded = await loadedBy('nest-pg-notify/triggers');
    expect(loaded).toContainEqual(expect.stringMatching(TRIGGERS));
    expect(loaded.filter((url) => [NEST, RXJS, PG].some((peer) => peer.test(url)))).toEqual([]);
  });

  it('lets triggers that share a channel with the application load nothing of Nest, rxjs or pg', async () => {
    const sharing = join(import.meta.dirname, '../../sample-app/database/triggers.ts');
    const loaded = await loadedBy(pathToFileURL(sharing).href);
    expect(loaded).toContainEqual(expect.stringMatching(/\/sample-app\/products\/product-changes\.ts$/));
    expect(loaded.filter((url) => [NEST, RXJS, PG].some((peer) => peer.test(url)))).toEqual([]);
  });

  it('shares definePgChannel, and nothing else, with the root', () => {
    const shared = Object.keys(triggers).filter((name) => name in root);
    expect(shared).toEqual(['definePgChannel']);
    expect(triggers.definePgChannel).toBe(root.definePgChannel);
  });
});

describe('nest-pg-notify', () => {
  it('loads Nest, rxjs and pg, and nothing of the triggers and of the event log', async () => {
    const loaded = await loadedBy('nest-pg-notify');
    for (const peer of [NEST, RXJS, PG]) expect(loaded).toContainEqual(expect.stringMatching(peer));
    expect(loaded.filter((url) => TRIGGERS.test(url) || EVENTS.test(url))).toEqual([]);
  });
});

describe('nest-pg-notify/events', () => {
  it('loads the event log, and nothing of the triggers', async () => {
    const loaded = await loadedBy('nest-pg-notify/events');
    expect(loaded).toContainEqual(expect.stringMatching(EVENTS));
    expect(loaded.filter((url) => TRIGGERS.test(url))).toEqual([]);
  });

  it('shares no name with the root', () => {
    expect(Object.keys(events).filter((name) => name in root)).toEqual([]);
  });
});

/** The addresses of all scripts in a process that has imported this. */
async function loadedBy(entry: string): Promise<readonly string[]> {
  const args = [...runTypeScript('test/package/fixtures/loaded.cjs'), 'import', entry];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 24 });
  return JSON.parse(stdout) as readonly string[];
}
