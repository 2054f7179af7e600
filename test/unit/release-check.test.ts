import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const ROOT = resolve(import.meta.dirname, '../..');
const execFileAsync = promisify(execFile);

/** A package that can be released. */
const MANIFEST = {
  name: 'some-package',
  version: '1.2.0',
  author: 'A. N. Other',
  homepage: 'https://example.com',
  bugs: { url: 'https://example.com/bugs' },
  repository: { type: 'git', url: 'https://example.com/some-package.git' },
};
const CHANGELOG = `# Changelog

## [Unreleased]

## [1.2.0] - 2026-11-28

### Added

- Something.

## [1.1.0] - 2026-10-01
`;

describe('npm run release:check', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nest-pg-notify-release-'));
    await git('init', '--quiet');
  });

  afterEach(() => rm(folder, { recursive: true }));

  async function git(...args: string[]): Promise<void> {
    const settings = ['user.name=Test', 'user.email=test@example.com', 'commit.gpgsign=false', 'tag.gpgsign=false'];
    await execFileAsync('git', [...settings.flatMap((each) => ['-c', each]), ...args], { cwd: folder });
  }

  async function write({
    manifest = MANIFEST as object,
    lockedVersion = '1.2.0',
    changelog = CHANGELOG,
  }): Promise<void> {
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
    await writeFile(join(folder, 'package-lock.json'), JSON.stringify({ version: lockedVersion }));
    await writeFile(join(folder, 'CHANGELOG.md'), changelog);
  }

  async function commit(): Promise<void> {
    await git('add', '--all');
    await git('commit', '--quiet', '--allow-empty', '--message', 'Change');
  }

  /** Runs the check as npm does, and returns its exit code and what it printed. */
  async function check(): Promise<{ code: number; lines: string[] }> {
    const args = ['--import', join(ROOT, 'dev/typescript/register.mjs'), join(ROOT, 'dev/release/check.ts')];
    const run = execFileAsync(process.execPath, args, { cwd: folder });
    const { code, stdout } = await run.then(
      (ended) => ({ code: 0, stdout: ended.stdout }),
      (error: { code: number; stdout: string }) => error,
    );
    return { code, lines: stdout.trim().split('\n') };
  }

  it('succeeds for a package that lacks nothing, before and after it is tagged', async () => {
    await write({});
    await commit();
    await git('tag', 'v1.1.0', '--message', 'An older one');
    await commit();
    expect(await check()).toEqual({ code: 0, lines: ['Version 1.2.0 can be released.'] });
    await git('tag', 'v1.2.0');
    expect(await check()).toEqual({ code: 0, lines: ['Version 1.2.0 can be released.'] });
  });

  it('names everything that is missing at once, and fails', async () => {
    await write({
      manifest: { name: 'some-package', version: '1.3.0', bugs: {}, author: ' ' },
      changelog: CHANGELOG.replace('[Unreleased]', '[Unreleased]\n\n- Something else.'),
    });
    await commit();
    await writeFile(join(folder, 'forgotten.ts'), '');
    expect(await check()).toEqual({
      code: 1,
      lines: [
        'Version 1.3.0 cannot be released yet:',
        expect.stringContaining('package.json has no "repository"'),
        expect.stringContaining('package.json has no "homepage"'),
        expect.stringContaining('package.json has no "bugs"'),
        expect.stringContaining('package.json has no "author"'),
        '- package-lock.json says version 1.2.0, package.json says 1.3.0. Run npm install.',
        expect.stringContaining('CHANGELOG.md does not begin with version 1.3.0. Write "## [1.3.0] - "'),
        expect.stringContaining('CHANGELOG.md has entries under "Unreleased"'),
        '- Git has changes that are not committed: ?? forgotten.ts.',
      ],
    });
  });

  it.each([
    ['has no date', '## [1.2.0]'],
    ['stands below an older one', '## [1.1.0] - 2026-11-01\n\n- Something.\n\n## [1.2.0] - 2026-11-28'],
    ['stands in a block of code', '```\n## [1.2.0] - 2026-11-28\n```'],
  ])('refuses a heading of the version that %s', async (_, heading) => {
    await write({ changelog: CHANGELOG.replace('## [1.2.0] - 2026-11-28', heading) });
    await commit();
    const { code, lines } = await check();
    expect(code).toBe(1);
    expect(lines).toContainEqual(expect.stringContaining('CHANGELOG.md does not begin with version 1.2.0'));
  });

  it('refuses a version without an entry in the changelog', async () => {
    await write({ changelog: '# Changelog\n\n## [1.2.0] - 2026-11-28\n\n## [1.1.0] - 2026-10-01\n\n- Something.\n' });
    await commit();
    expect((await check()).lines).toContain('- CHANGELOG.md has no entry for version 1.2.0.');
  });

  it('takes a heading that links to the version', async () => {
    await write({ changelog: `${CHANGELOG}\n[unreleased]: https://example.com/u\n[1.2.0]: https://example.com/v\n` });
    await commit();
    expect((await check()).code).toBe(0);
  });

  it('refuses a commit that has the tag of another version', async () => {
    await write({});
    await commit();
    await git('tag', 'v2.0.0');
    expect((await check()).lines).toContain('- Git has the tag v2.0.0 on this commit, which should be v1.2.0.');
  });

  it('refuses a version whose tag is on another commit', async () => {
    await write({});
    await commit();
    await git('tag', 'v1.2.0');
    await commit();
    expect((await check()).lines).toContain('- Git has the tag v1.2.0 on another commit. Choose a new version.');
  });
});
