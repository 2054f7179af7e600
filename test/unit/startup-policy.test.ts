import { describe, expect, it } from '@jest/globals';
import { StartupPolicy } from '../../lib/listener/startup-policy.js';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';
import { deferred } from '../support/deferred.js';
import { FakeClock } from '../support/fake-server.js';

const never = new Promise<void>(() => undefined);
const done = Promise.resolve();

/** How the wait ends when its time is over, with `verified` still outstanding. */
async function afterTimeout(listening: Promise<void>, isDoubtful: boolean): Promise<unknown> {
  const clock = new FakeClock();
  const policy = new StartupPolicy({ mode: 'wait', timeout: 5_000 }, clock);
  const outcome = policy.wait(listening, never, () => isDoubtful).catch((error: unknown) => error);
  await done; // The listening is seen before the time is over.
  clock.advance(5_000);
  return outcome;
}

describe('the startup time-out', () => {
  it('goes on when it is listening, and nothing speaks against the delivery', async () => {
    expect(await afterTimeout(done, false)).toBeUndefined();
  });

  it('leaves the LISTENs that follow the time that a check has used up in vain, and does not wait for it again', async () => {
    const clock = new FakeClock();
    const policy = new StartupPolicy({ mode: 'wait', timeout: 5_000 }, clock);
    const first = policy.wait(done, never, () => false);
    await done;
    clock.advance(5_000);
    await first;
    const listens = deferred();
    const second = policy.wait(listens.promise, never, () => true);
    clock.advance(1_000);
    listens.resolve();
    await expect(second).resolves.toBeUndefined();
  });

  it('says that the delivery check was not over if that is what it waited for', async () => {
    expect(await afterTimeout(done, true)).toMatchObject({
      message: expect.stringMatching(
        /^Listening, but no notification has arrived within .* 5000 ms.*Raise startup.timeout/,
      ),
    });
  });

  it('says that it could not listen if it could not', async () => {
    expect(await afterTimeout(never, false)).toMatchObject({
      message: expect.stringContaining('Could not listen within the startup timeout of 5000 ms.'),
    });
  });
});

it('is not ended by a permanent failure between two waits, which has passed', async () => {
  const policy = new StartupPolicy({ mode: 'wait', timeout: 5_000 }, new FakeClock());
  await policy.wait(done, done, () => false);
  expect(policy.failed(new PgNotifyError('connection', 'wrong password', { permanent: true }))).toBe(false);
  await expect(policy.wait(done, done, () => false)).resolves.toBeUndefined();
});
