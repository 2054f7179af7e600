import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { EventEmitter } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PgNotifyModule } from 'nest-pg-notify';
import { Pool } from 'pg';
import { appSuite } from '../support/app/app-suite.js';
import { CommandLine } from '../support/command-line.js';

describe('the native client of pg', () => {
  const suite = appSuite({ bus: true });
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-native-'));
    suite.cleanup(() => rm(folder, { recursive: true }));
    await mkdir(join(folder, 'pg-native'));
    // pg-native itself has to be compiled; what pg makes of it is pg's own, and the same.
    await writeFile(join(folder, 'pg-native', 'index.js'), 'module.exports = class {};\n');
  });

  afterEach(() => CommandLine.endAll());

  it('is refused with what to do where NODE_PG_FORCE_NATIVE has made it the client of pg', async () => {
    const { code, stdout, stderr } = await CommandLine.run(
      ['doctor', '--json', '--url', 'postgres://u@127.0.0.1:1/d'],
      {
        NODE_PG_FORCE_NATIVE: '1',
        NODE_PATH: folder,
      },
    );
    expect(stderr).toBe('');
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      findings: [
        {
          check: 'connection',
          level: 'problem',
          message:
            'The client of pg is the native one, which this module cannot use. Unset the variable NODE_PG_FORCE_NATIVE for this process.',
        },
      ],
    });
  });

  it('is refused as the client of publisher.pool at the start', async () => {
    class NativePool extends Pool {
      /** As that of `pg.native.Pool`: without a connection that can be seen. */
      readonly Client = EventEmitter;
    }
    const pool = new NativePool();
    const registration = PgNotifyModule.forRoot({ connection: 'postgres://u@127.0.0.1:1/d', publisher: { pool } });
    await expect(suite.createOf({ imports: [registration] })).rejects.toMatchObject({
      kind: 'configuration',
      message: 'The option publisher.pool of PgNotifyModule is a pool of the native client. Give it one of pg.Pool.',
    });
  });
});
