import { readFileSync } from 'node:fs';
import type { Adapter } from './adapters/adapter.js';

export interface Peer {
  readonly name: string;
  /** Folder with the package.json that has its version, from here. */
  readonly folder: string;
  /** How it is used, for the reader of the table. */
  readonly usage: string;
  readonly load: () => Promise<Adapter>;
}

export const PEERS: readonly Peer[] = [
  {
    name: 'nest-pg-notify',
    folder: '../..',
    usage: 'this repository; all options are the defaults',
    load: async () => (await import('./adapters/nest-pg-notify.js')).start,
  },
  {
    name: 'pg-listen',
    folder: '../node_modules/pg-listen',
    usage: 'as in its README, default options; its `error` event is recorded instead of ending the process',
    load: async () => (await import('./adapters/pg-listen.js')).start,
  },
  {
    name: 'pg-listen, tuned',
    folder: '../node_modules/pg-listen',
    usage:
      '`paranoidChecking: 10_000`, `retryTimeout: Infinity`, and for pg `query_timeout: 5_000`, ' +
      '`connectionTimeoutMillis: 5_000`, which its README does not mention',
    load: async () => (await import('./adapters/pg-listen.js')).startTuned,
  },
  {
    name: 'postgres.js',
    folder: '../node_modules/postgres',
    usage: 'as in its README, with `onlisten`, `end({ timeout: 5 })`, and `prepare: false` behind PgBouncer',
    load: async () => (await import('./adapters/postgres.js')).start,
  },
  {
    name: 'nestjs-pg-notify',
    folder: '../node_modules/nestjs-pg-notify',
    usage: "as in its README: `retryInterval: 1_000`, `retryTimeout: Infinity`; pg-listen's check has no option there",
    load: async () => (await import('./adapters/nestjs-pg-notify.js')).start,
  },
];

export function findPeer(name: string): Peer {
  const peer = PEERS.find((candidate) => candidate.name === name);
  if (!peer) throw new Error(`No peer is called "${name}": use one of ${PEERS.map((each) => each.name).join(', ')}.`);
  return peer;
}

/** The version of the package in a folder, named from this file's. */
export function versionIn(folder: string): string {
  const file = new URL(`${folder}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
