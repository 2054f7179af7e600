import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');

/** What must be refused: the file, its content, and what the linter must say. */
const VIOLATIONS: readonly (readonly [file: string, content: string, rule: RegExp])[] = [
  ['channel/a.ts', `export { PgListener } from '../listener/pg-listener.js';`, /against the arrows/],
  ['channel/b.ts', `export { getPgNotifyToken } from '../pg-notify.tokens.js';`, /against the arrows/],
  ['session/a.ts', `export { PgListener } from '../listener/pg-listener.js';`, /against the arrows/],
  ['listener/a.ts', `export { PgPublisher } from '../publisher/pg-publisher.js';`, /against the arrows/],
  ['publisher/a.ts', `export { PgListener } from '../listener/pg-listener.js';`, /against the arrows/],
  ['executor/a.ts', `export { encodePayload } from '../channel/payload-codec.js';`, /against the arrows/],
  ['triggers/a.ts', `export { PgSession } from '../session/pg-session.js';`, /against the arrows/],
  ['cli/a.ts', `export { PgNotifyService } from '../pg-notify.service.js';`, /against the arrows/],
  ['handlers/c.ts', `export { doctor } from '../cli/a.js';`, /against the arrows/],
  ['delivery/a.ts', `export { PgNotifyService } from '../pg-notify.service.js';`, /against the arrows/],
  ['transport/a.ts', `export { PgDelivery } from '../delivery/pg-delivery.js';`, /against the arrows/],
  ['listener/c.ts', `export { PgTransport } from '../transport/pg-transport.js';`, /against the arrows/],
  ['handlers/b.ts', `export { PgNotifyTestBus } from '../testing/pg-notify-test-bus.js';`, /against the arrows/],
  ['handlers/a.ts', `export { PgNotifyModule } from '../pg-notify.module.js';`, /against the arrows/],
  ['pg-notify.errors.ts', `export { channelName } from './session/pg-session.js';`, /against the arrows/],
  [
    'listener/b.ts',
    `import { Client } from 'pg';\nexport const client = new Client();`,
    /Only session\/pg-client\.ts touches pg/,
  ],
  [
    'delivery/b.ts',
    `import { Logger } from '@nestjs/common';\nexport const logger = new Logger();`,
    /knows nothing of Nest/,
  ],
  ['channel/c.ts', `export const value = await Promise.resolve(1);`, /no-top-level-await/],
  ['channel/d.ts', `import { e } from './e.js';\nexport const d = (): unknown => e;`, /no-cycle/],
];

describe('the linter', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-lint-'));
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    await cp(join(ROOT, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
    await cp(join(ROOT, 'tsconfig.json'), join(folder, 'tsconfig.json'));
    await cp(join(ROOT, 'lib'), join(folder, 'lib'), { recursive: true });
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('accepts the library as it is', async () => {
    expect(await lint(folder)).toEqual([]);
  });

  it('refuses every import against the arrows, cycles, top-level await, and pg or Nest where they do not belong', async () => {
    await writeFile(
      join(folder, 'lib/channel/e.ts'),
      `import { d } from './d.js';\nexport const e = (): unknown => d;`,
    );
    for (const [file, content] of VIOLATIONS) {
      await mkdir(dirname(join(folder, 'lib', file)), { recursive: true });
      await writeFile(join(folder, 'lib', file), content);
    }
    const findings = await lint(folder);
    for (const [file, , rule] of VIOLATIONS) {
      const found = findings.filter(({ filename }) => filename === `lib/${file}`);
      const texts = found.map(({ code, message, help = '' }) => `${code} ${message} ${help}`).join('\n');
      expect([file, texts]).toEqual([file, expect.stringMatching(rule)]);
    }
  });
});

interface Finding {
  readonly filename: string;
  readonly code: string;
  readonly message: string;
  readonly help?: string;
}

/** What the linter finds; in JSON, because its texts depend on where it runs. */
function lint(folder: string): Promise<readonly Finding[]> {
  const oxlint = join(ROOT, 'node_modules/oxlint/bin/oxlint');
  const args = [oxlint, '--type-aware', '-f', 'json', 'lib'];
  return new Promise((settle) => {
    execFile(process.execPath, args, { cwd: folder, maxBuffer: 1e8 }, (_error, output) => {
      const { diagnostics } = JSON.parse(output) as { diagnostics: readonly Finding[] };
      settle(diagnostics);
    });
  });
}
