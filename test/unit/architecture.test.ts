import { beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, posix, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');

/** What architecture.mjs exports. */
interface Architecture {
  readonly ARROWS: string;
  readonly FILES: Readonly<Record<string, readonly string[]>>;
  readonly FOLDERS: readonly string[];
  readonly PARTS: readonly string[];
  readonly targetsOf: (part: string) => readonly string[];
  readonly allowedOf: (part: string) => { readonly values: ReadonlySet<string>; readonly types: ReadonlySet<string> };
  readonly reachOf: (part: string) => ReadonlySet<string>;
}

const table: string = join(ROOT, 'architecture.mjs');
const { ARROWS, FILES, FOLDERS, PARTS, targetsOf, allowedOf, reachOf } = (await import(table)) as Architecture;

/** What is tried of each package. */
const SPECIFIERS: Readonly<Record<string, readonly string[]>> = {
  '@nestjs': ['@nestjs/common', '@nestjs/core/injector/container.js'],
  pg: ['pg', 'pg/lib/client.js'],
  'nest-pg-notify': ['nest-pg-notify', 'nest-pg-notify/events', 'nest-pg-notify/testing', 'nest-pg-notify/triggers'],
};

/** Chosen by hand, so that the table is not its own judge: the file, its content, and what the linter must say. */
const VIOLATIONS: readonly (readonly [file: string, content: string, finding: RegExp])[] = [
  ['lib/channel/a.ts', `export { PgListener } from '../listener/pg-listener.js';`, /against the arrows/],
  ['lib/channel/b.ts', `export { getPgNotifyToken } from '../pg-notify.tokens.js';`, /against the arrows/],
  ['lib/session/a.ts', `export { PgListener } from '../listener/pg-listener.js';`, /against the arrows/],
  ['lib/listener/a.ts', `export { PgPublisher } from '../publisher/pg-publisher.js';`, /against the arrows/],
  ['lib/publisher/a.ts', `export { PgListener } from '../listener/pg-listener.js';`, /against the arrows/],
  ['lib/executor/a.ts', `export { encodePayload } from '../channel/payload-codec.js';`, /against the arrows/],
  ['lib/index.ts', `export { notifyTrigger } from './triggers/notify-trigger.js';`, /against the arrows/],
  ['lib/testing/b.ts', `export { notifyTrigger } from '../triggers/notify-trigger.js';`, /against the arrows/],
  ['lib/triggers/b.ts', `export { PgNotifyModule } from '../pg-notify.module.js';`, /against the arrows/],
  ['lib/triggers/a.ts', `export { PgSession } from '../session/pg-session.js';`, /against the arrows/],
  ['lib/cli/a.ts', `export { PgNotifyService } from '../pg-notify.service.js';`, /against the arrows/],
  ['lib/handlers/c.ts', `export { doctor } from '../cli/a.js';`, /against the arrows/],
  ['lib/consumers/a.ts', `export { PgNotifyService } from '../pg-notify.service.js';`, /against the arrows/],
  ['lib/transport/a.ts', `export { PgConsumers } from '../consumers/pg-consumers.js';`, /against the arrows/],
  ['lib/listener/c.ts', `export { PgTransport } from '../transport/pg-transport.js';`, /against the arrows/],
  ['lib/handlers/b.ts', `export { PgNotifyTestBus } from '../testing/pg-notify-test-bus.js';`, /against the arrows/],
  ['lib/handlers/a.ts', `export { PgNotifyModule } from '../pg-notify.module.js';`, /against the arrows/],
  ['lib/handlers/d.ts', `export { PgNotifyModule } from 'nest-pg-notify';`, /against the arrows/],
  ['lib/handlers/e.ts', `export const cli = (): Promise<unknown> => import('../cli/main.js');`, /against the arrows/],
  ['lib/option-checks.ts', `export { channelName } from './session/pg-session.js';`, /against the arrows/],
  ['lib/pg-notify.errors.ts', `export { channelName } from './session/pg-session.js';`, /against the arrows/],
  [
    'lib/testing/a.ts',
    `export { findFreePort } from '../../dev/embedded-postgres/free-port.js';`,
    /against the arrows/,
  ],
  ['sample-app/a.ts', `export { PgNotifyModule } from '../lib/index.js';`, /against the arrows/],
  ['dev/a.ts', `export { PgNotifyModule } from 'nest-pg-notify';`, /against the arrows/],
  ['lib/listener/b.ts', `import { Client } from 'pg'; export const client = new Client();`, /touches pg/],
  ['lib/session/b.ts', `import { Client } from 'pg'; export const client = new Client();`, /touches pg/],
  ['lib/consumers/b.ts', `export { Logger } from '@nestjs/common';`, /knows nothing of Nest/],
  ['lib/unknown/a.ts', `export { PgGap } from '../channel/pg-gap.js';`, /does not know this part/],
  ['lib/pg-notify.unknown.ts', `export { PgGap } from './channel/pg-gap.js';`, /does not know this part/],
  ['lib/channel/c.ts', `export const value = await Promise.resolve(1);`, /no-top-level-await/],
  ['lib/channel/d.ts', `import { e } from './e.js'; export const d = (): unknown => e;`, /no-cycle/],
  ['lib/channel/e.ts', `import { d } from './d.js'; export const e = (): unknown => d;`, /no-cycle/],
];

describe('the table of arrows', () => {
  it('names every folder and every file of lib/, and none that is missing there', async () => {
    const entries = await readdir(join(ROOT, 'lib'), { withFileTypes: true });
    const inLib = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name));
    const inTable = PARTS.flatMap((part) => FILES[part]?.map((file) => `${file}.ts`) ?? [`${part}/`]);
    expect(inTable.toSorted()).toEqual(inLib.toSorted());
    expect(PARTS).toEqual(expect.arrayContaining(Object.keys(FILES)));
  });

  it('names no folder beside lib/ that is missing', async () => {
    const entries = await readdir(ROOT, { withFileTypes: true });
    const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${name}/`);
    expect(folders).toEqual(expect.arrayContaining([...FOLDERS]));
  });

  it('never leads in a circle', () => {
    expect([...PARTS, ...FOLDERS].filter((part) => reachOf(part).has(part))).toEqual([]);
  });

  it('is drawn in CONTRIBUTING.md, by npm run arrows', async () => {
    expect(/(?<=```arrows\n)[^]*?(?=\n```)/.exec(await contributing())?.[0]).toBe(ARROWS);
  });

  it('has the files in its folders that CONTRIBUTING.md names', async () => {
    const named = (await contributing()).match(new RegExp(`\\b(${PARTS.join('|')})/[\\w.-]+\\.ts\\b`, 'g')) ?? [];
    const files = await readdir(join(ROOT, 'lib'), { recursive: true });
    expect(named).toContain('session/pg-session.ts');
    expect(files).toEqual(expect.arrayContaining(named));
  });
});

describe('the linter', () => {
  const importers = [...PARTS, ...FOLDERS.filter((folder) => folder !== 'lib/')];
  let ofImports: readonly Finding[];
  let ofViolations: readonly Finding[];

  beforeAll(async () => {
    ofImports = await lintFiles(
      importers.flatMap((part) =>
        filesOf(part).map(
          (file) =>
            [
              file,
              importsOf(part, file)
                .map(({ statement }) => statement)
                .join('\n'),
            ] as const,
        ),
      ),
    );
    ofViolations = await lintFiles(VIOLATIONS);
  });

  it('accepts the library as it is', async () => {
    expect(await lint(ROOT, 'lib')).toEqual([]);
  });

  it.each(importers)('lets %s import what its arrows lead to, and refuses everything else', (part) => {
    for (const file of filesOf(part)) {
      const imports = importsOf(part, file);
      const refused = ofImports
        .filter(({ filename, code }) => filename === file && code.includes('no-restricted-imports'))
        .map(({ message, help, labels }) => ({
          statement: imports[labels[0].span.line - 1]?.statement,
          reason: reasonIn(`${message} ${help ?? ''}`),
        }));
      const expected = imports
        .filter(({ allowed }) => !allowed)
        .map(({ statement, reason }) => ({ statement, reason }));
      expect(refused.toSorted(byStatement)).toEqual(expected.toSorted(byStatement));
    }
  });

  it.each(VIOLATIONS)('refuses in %s: %s', (file, _content, expected) => {
    const found = ofViolations.filter(({ filename }) => filename === file);
    const texts = found.map(({ code, message, help = '' }) => `${code} ${message} ${help}`);
    expect(texts.join('\n')).toMatch(expected);
  });

  it('lets session/pg-client.ts alone import pg', async () => {
    const content = `import { Client } from 'pg'; export const client = new Client();`;
    expect(await lintFiles([['lib/session/pg-client.ts', content]])).toEqual([]);
  });
});

function contributing(): Promise<string> {
  return readFile(join(ROOT, 'CONTRIBUTING.md'), 'utf8');
}

interface TriedImport {
  readonly statement: string;
  readonly allowed: boolean;
  /** Why the linter refuses it, if it is not allowed. */
  readonly reason: string;
}

/** An import of values and one of types from everything that is not `part` itself, each on a line of its own. */
function importsOf(part: string, file: string): readonly TriedImport[] {
  const { values, types } = allowedOf(part);
  return targetsOf(part).flatMap((target) => {
    const reason =
      target === '@nestjs' ? 'knows nothing of Nest' : target === 'pg' ? 'touches pg' : 'against the arrows';
    return (SPECIFIERS[target] ?? filesOf(target).map((to) => specifierOf(file, to))).flatMap((specifier) => [
      { statement: `export * from '${specifier}';`, allowed: values.has(target), reason },
      {
        statement: `export type * from '${specifier}';`,
        allowed: values.has(target) || types.has(target),
        reason,
      },
    ]);
  });
}

/** The files in which a part is tried: its own, or one that is made up in its folder. */
function filesOf(part: string): readonly string[] {
  return (
    FILES[part]?.map((file) => `lib/${file}.ts`) ?? [part.endsWith('/') ? `${part}tried.ts` : `lib/${part}/tried.ts`]
  );
}

function specifierOf(from: string, to: string): string {
  const path = posix.relative(posix.dirname(from), to).replace(/\.ts$/, '.js');
  return path.startsWith('.') ? path : `./${path}`;
}

function reasonIn(text: string): string | undefined {
  return /against the arrows|knows nothing of Nest|touches pg/.exec(text)?.[0];
}

function byStatement(a: { readonly statement?: string }, b: { readonly statement?: string }): number {
  return (a.statement ?? '').localeCompare(b.statement ?? '');
}

interface Finding {
  readonly filename: string;
  readonly code: string;
  readonly message: string;
  readonly help?: string;
  readonly labels: readonly [{ readonly span: { readonly line: number } }];
}

/** What the linter finds in a repository of these files alone. */
async function lintFiles(files: readonly (readonly [file: string, content: string, ...unknown[]])[]) {
  const folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-lint-'));
  try {
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    for (const file of ['architecture.mjs', 'oxlint.config.mjs', 'tsconfig.json']) {
      await cp(join(ROOT, file), join(folder, file));
    }
    for (const [file, content] of files) {
      await mkdir(dirname(join(folder, file)), { recursive: true });
      await writeFile(join(folder, file), content);
    }
    return await lint(folder, '.');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * What the linter finds in a repository; in JSON, because its texts depend on where it runs. It would follow a
 * `node_modules` that is a symbolic link.
 */
function lint(folder: string, path: string): Promise<readonly Finding[]> {
  const oxlint = join(ROOT, 'node_modules/oxlint/bin/oxlint');
  const args = [
    oxlint,
    '-c',
    'oxlint.config.mjs',
    '--type-aware',
    '--ignore-pattern',
    'node_modules',
    '-f',
    'json',
    path,
  ];
  return new Promise((settle) => {
    execFile(process.execPath, args, { cwd: folder, maxBuffer: 1e8 }, (_error, output) => {
      const { diagnostics } = JSON.parse(output) as { diagnostics: readonly Finding[] };
      settle(diagnostics);
    });
  });
}
