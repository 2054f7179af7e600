/** `npm run release:check` says whether what is checked out can be released, and names all that is missing. */
import { readReleaseCandidate } from './release-candidate.js';
import { findReleaseObstacles } from './release-obstacles.js';

const candidate = await readReleaseCandidate(process.cwd());
const obstacles = findReleaseObstacles(candidate);
if (obstacles.length === 0) {
  process.stdout.write(`Version ${candidate.manifest.version} can be released.\n`);
} else {
  process.stdout.write(`Version ${candidate.manifest.version} cannot be released yet:\n`);
  for (const obstacle of obstacles) process.stdout.write(`- ${obstacle}\n`);
  process.exitCode = 1;
}
