// Runs the tests again and again, as often as the first argument says (ten times without one), and stops at the first
// failure: a test that fails now and then is a bug.
import { spawnSync } from 'node:child_process';

const [times = '10', ...args] = process.argv.slice(2);
for (let round = 1; round <= Number(times); round += 1) {
  process.stdout.write(`\nRound ${round} of ${times}\n`);
  const { status } = spawnSync('npm', ['test', '--', ...args], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
