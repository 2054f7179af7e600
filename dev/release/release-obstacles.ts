import { MarkdownPage } from '../markdown/markdown-page.js';
import type { PackageManifest, ReleaseCandidate } from './release-candidate.js';

/** Returns everything that keeps the candidate from being released, each with what to do; nothing if it is ready. */
export function findReleaseObstacles(candidate: ReleaseCandidate): string[] {
  const { manifest, lockedVersion, changelog, uncommitted } = candidate;
  return [
    ...obstaclesInManifest(manifest),
    ...obstaclesInVersion(manifest.version, lockedVersion),
    ...obstaclesInChangelog(manifest.version, changelog),
    ...obstaclesInTags(`v${manifest.version}`, candidate),
    ...(uncommitted.length > 0 ? [`Git has changes that are not committed: ${uncommitted.join(', ')}.`] : []),
  ];
}

function obstaclesInManifest({ author, homepage, bugs, repository }: PackageManifest): string[] {
  const needs: readonly (readonly [field: string, value: string | undefined, purpose: string])[] = [
    [
      'repository',
      typeof repository === 'object' ? repository.url : repository,
      'npm proves with it where a release was built',
    ],
    ['homepage', homepage, 'npm links to it'],
    ['bugs', typeof bugs === 'object' ? (bugs.url ?? bugs.email) : bugs, 'it is where users report a bug'],
    [
      'author',
      typeof author === 'object' ? author.name : author,
      'SECURITY.md names the author as the one to write to',
    ],
  ];
  const missing = needs.filter(([, value]) => value === undefined || value.trim() === '');
  return missing.map(([field, , purpose]) => `package.json has no "${field}". Fill it in: ${purpose}.`);
}

function obstaclesInVersion(version: string, lockedVersion: string | undefined): string[] {
  if (version === lockedVersion) return [];
  return [`package-lock.json says version ${lockedVersion}, package.json says ${version}. Run npm install.`];
}

function obstaclesInChangelog(version: string, changelog: string): string[] {
  const sections = new MarkdownPage(changelog).sections(2);
  const unreleased = sections.find(({ title }) => /^\[?Unreleased\]?$/i.test(title));
  const newest = sections.find((section) => section !== unreleased);
  const [, newestVersion] = /^\[?([^\]\s]+)\]? - \d{4}-\d{2}-\d{2}$/.exec(newest?.title ?? '') ?? [];
  const obstacles: string[] = [];
  if (newestVersion !== version) {
    obstacles.push(
      `CHANGELOG.md does not begin with version ${version}. Write "## [${version}] - ", and the date, as its first heading after "Unreleased".`,
    );
  } else if (newest?.text === '') {
    obstacles.push(`CHANGELOG.md has no entry for version ${version}.`);
  }
  if (unreleased && unreleased.text !== '') {
    obstacles.push('CHANGELOG.md has entries under "Unreleased". Move them below the heading of the version.');
  }
  return obstacles;
}

function obstaclesInTags(tag: string, { tagsHere, tags }: ReleaseCandidate): string[] {
  if (tagsHere.includes(tag)) return [];
  if (tags.includes(tag)) return [`Git has the tag ${tag} on another commit. Choose a new version.`];
  return tagsHere.length > 0 ? [`Git has the tag ${tagsHere.join(', ')} on this commit, which should be ${tag}.`] : [];
}
