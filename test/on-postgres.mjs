// `npm run test:postgres -- 14 recovery` runs the tests that use PostgreSQL on that version of it, or those of them that
// the other arguments choose. Every server that the run starts is of that version.
import { spawnSync } from 'node:child_process';
import { loadTypeScript } from '../dev/typescript/load-typescript.mjs';

loadTypeScript();
const { findPin, majorOf } = await import('../dev/versions/pins.ts');

const [wanted = '', ...args] = process.argv.slice(2);
const major = majorOf(findPin('postgres', wanted));
const projects = ['--selectProjects', 'e2e', 'faults', 'timing'];
const env = { ...process.env, TEST_POSTGRES: `embedded:${major}` };
const { status } = spawnSync('npm', ['test', '--', ...args, ...projects], { env, stdio: 'inherit' });
process.exit(status ?? 1);
