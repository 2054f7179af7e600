// `npm run renew:versions` pins the newest version of each major version that is pinned. The oldest Node stays: it is the
// one that `engines` in package.json promises. A new major version is added to pins.json by hand.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { loadTypeScript } from '../typescript/load-typescript.mjs';

loadTypeScript();
const { majorOf, PACKAGES, PINS_FILE, readPins } = await import('./pins.ts');

const pins = readPins();
const renewed = {
  postgres: newest(PACKAGES.postgres, pins.postgres),
  node: [pins.node[0], ...newest(PACKAGES.node, pins.node.slice(1))],
};
for (const [kind, versions] of Object.entries(renewed)) process.stdout.write(`${kind}: ${versions.join(', ')}\n`);
const lines = Object.entries(renewed).map(
  ([kind, versions]) => `  "${kind}": [${versions.map((version) => `"${version}"`).join(', ')}]`,
);
writeFileSync(PINS_FILE, `{\n${lines.join(',\n')}\n}\n`);

/** For each of the versions the newest published one of the same major version. */
function newest(name, versions) {
  const published = JSON.parse(execFileSync('npm', ['view', name, 'versions', '--json'], { encoding: 'utf8' }));
  const inOrder = published.toSorted((one, other) => one.localeCompare(other, 'en', { numeric: true }));
  return versions.map((version) => inOrder.findLast((other) => majorOf(other) === majorOf(version)));
}
