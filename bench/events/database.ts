import pg from 'pg';
import type { Bench } from '../frame/bench.js';
import { eventLog } from '../../lib/events/index.js';

/** Makes a database with the tables of an event log, and more; returns its URL. */
export async function newEventDatabase(bench: Bench, more = ''): Promise<string> {
  const name = bench.newChannel();
  await runSql(bench.url, `CREATE DATABASE ${name}`);
  const url = new URL(bench.url);
  url.pathname = name;
  await runSql(url.href, `${eventLog().up}; ${more}`);
  return url.href;
}

/** Runs statements on a connection of its own. */
export async function runSql(url: string, ...statements: readonly string[]): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
