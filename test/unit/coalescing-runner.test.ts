import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CoalescingRunner } from '../../lib/consumers/coalescing-runner.js';
import type { CoalescingRunnerOptions, WakeReason } from '../../lib/consumers/coalescing-runner.js';
import { TurnBudget } from '../../lib/time/turn-budget.js';
import { FakeClock } from '../support/fake-server.js';
import { turns } from '../support/turn.js';

/** A runner whose every run waits for the test. */
function setUp({
  pollDelay: delay = () => undefined,
  ...options
}: Partial<CoalescingRunnerOptions> & { readonly pollDelay?: () => number | undefined } = {}) {
  const clock = new FakeClock();
  const runs: WakeReason[] = [];
  let delayChanged = (): void => undefined;
  const onChange = (call: () => void): (() => void) => {
    delayChanged = call;
    return () => (delayChanged = () => undefined);
  };
  let current: { succeed: (again?: unknown) => void; fail: (error: Error) => void } | undefined;
  const runner = new CoalescingRunner(
    {
      run: (reason) => {
        if (current) throw new Error('Two runs at a time.');
        runs.push(reason);
        return new Promise((resolve, reject) => (current = { succeed: resolve, fail: reject }));
      },
      errorDelay: () => 100,
      polls: { delay, onChange },
      minInterval: 0,
      ...options,
    },
    { clock, budget: new TurnBudget() },
  );
  const end = (how: 'again' | 'done' | 'fail'): void => {
    const ending = current;
    current = undefined;
    if (how === 'fail') ending?.fail(new Error('a run'));
    else ending?.succeed(how === 'again');
  };
  return { clock, runs, runner, end, isRunning: () => current !== undefined, changeDelay: () => delayChanged() };
}

const command = fc.oneof(
  fc.record({ do: fc.constant('wake' as const), reason: fc.constantFrom('notification', 'gap' as const) }),
  fc.record({ do: fc.constant('end' as const), how: fc.constantFrom('again', 'done', 'fail' as const) }),
  fc.record({ do: fc.constant('advance' as const), by: fc.constantFrom(1, 5, 10, 35, 100) }),
  fc.record({ do: fc.constant('poll every' as const), delay: fc.constantFrom(undefined, 10, 50, 300) }),
  fc.record({ do: fc.constantFrom('forgive', 'begin' as const) }),
);

/** The specification of a runner, as rules instead of a loop. It is compared after all tasks have run. */
class Model {
  readonly runs: WakeReason[] = [];
  now = 0;
  pollDelay: number | undefined;
  private wanted: WakeReason | undefined;
  private isRunning = false;
  private failures = 0;
  private begunAt = -Infinity;
  private endedAt: number | undefined;

  constructor(
    private readonly errorDelay: (failures: number) => number,
    private readonly minInterval: number,
  ) {}

  begin(): void {
    this.endedAt ??= this.now;
  }

  wake(reason: WakeReason): void {
    this.begin();
    this.wanted ??= reason;
  }

  end(how: 'again' | 'done' | 'fail'): void {
    if (!this.isRunning) return;
    this.isRunning = false;
    this.endedAt = this.now;
    this.failures = how === 'fail' ? this.failures + 1 : 0;
    if (how === 'again') this.wanted ??= 'again';
    if (how === 'fail') this.wanted ??= 'retry';
  }

  forgive(): void {
    this.failures = 0;
  }

  get isIdle(): boolean {
    return !this.isRunning && (this.wanted === undefined || this.failures > 0);
  }

  settle(): void {
    if (this.isRunning || this.endedAt === undefined) return;
    if (this.pollDelay !== undefined && this.now >= this.endedAt + this.pollDelay) this.wanted ??= 'poll';
    if (this.wanted === undefined || this.now < this.begunAt + this.minInterval) return;
    if (this.failures > 0 && this.now < this.endedAt + this.errorDelay(this.failures)) return;
    this.runs.push(this.wanted);
    this.wanted = undefined;
    this.isRunning = true;
    this.begunAt = this.now;
  }
}

describe('CoalescingRunner', () => {
  it('runs exactly when it should, and for what, however wakes, ends, time and polls interleave', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(command, { maxLength: 40 }),
        fc.constantFrom(0, 20),
        fc.constantFrom(0, 30),
        async (commands, minInterval, errorUnit) => {
          const errorDelay = (failures: number): number => failures * errorUnit;
          const model = new Model(errorDelay, minInterval);
          const subject = setUp({ minInterval, errorDelay, pollDelay: () => model.pollDelay });
          const { clock, runner } = subject;
          let isSettled = false;
          for (const each of commands) {
            isSettled = false;
            void runner.settled().then(() => (isSettled = true));
            if (each.do === 'wake') {
              runner.wake(each.reason);
              model.wake(each.reason);
            } else if (each.do === 'end') {
              subject.end(each.how);
              model.end(each.how);
            } else if (each.do === 'advance') {
              clock.advance(each.by);
              model.now += each.by;
            } else if (each.do === 'poll every') {
              model.pollDelay = each.delay;
              subject.changeDelay();
            } else {
              runner[each.do]();
              model[each.do]();
            }
            await turns();
            model.settle();
            expect(subject.runs).toEqual(model.runs);
            expect(runner.isIdle).toBe(model.isIdle);
            if (model.isIdle) expect(isSettled).toBe(true);
          }
          runner.stop();
          await turns();
          expect(runner.isIdle).toBe(!subject.isRunning());
          expect(clock.sleeping).toBe(0);
          subject.end('again');
          runner.wake('notification');
          runner.begin();
          clock.advance(10_000);
          await runner.settled();
          await turns();
          expect(subject.runs).toEqual(model.runs);
          expect(clock.sleeping).toBe(0);
        },
      ),
      { numRuns: 500 },
    ));

  it('makes one run of all that wakes it during a run, and gives it the first reason', async () => {
    const { runs, runner, end } = setUp();
    runner.wake('start');
    await turns();
    runner.wake('gap');
    runner.wake('notification');
    runner.wake('notification');
    end('done');
    await turns();
    expect(runs).toEqual(['start', 'gap']);
    end('done');
    await turns();
    expect(runs).toEqual(['start', 'gap']);
    runner.stop();
  });

  it('waits longer after each failure in a row, if errorDelay grows, and not after one that was forgiven', async () => {
    const { clock, runs, runner, end } = setUp({ errorDelay: (failures) => failures * 100 });
    runner.wake('start');
    for (const delay of [100, 200, 300]) {
      await turns();
      end('fail');
      await turns();
      clock.advance(delay - 1);
      await turns();
      const { length } = runs;
      clock.advance(1);
      await turns();
      expect(runs).toHaveLength(length + 1);
    }
    end('fail');
    await turns();
    runner.forgive();
    await turns();
    expect(runs).toHaveLength(5);
    runner.stop();
  });

  it('is settled as soon as it is stopped if nothing runs', async () => {
    const { runs, runner, end } = setUp({ minInterval: 100 });
    runner.wake('start');
    await turns();
    end('again');
    await turns();
    const settled = runner.settled();
    runner.stop();
    await settled;
    expect(runs).toEqual(['start']);
  });

  it('counts what a run throws at once as a failure', async () => {
    let attempts = 0;
    const { clock, runner } = setUp({
      run: () => {
        attempts += 1;
        throw new Error('at once');
      },
    });
    runner.wake('start');
    await turns();
    clock.advance(99);
    await turns();
    expect(attempts).toBe(1);
    clock.advance(1);
    await turns();
    expect(attempts).toBe(2);
    runner.stop();
  });

  it('polls although the delay changes back and forth in less time than that', async () => {
    let delay = 1_000;
    const { clock, runs, runner, changeDelay } = setUp({ pollDelay: () => delay });
    runner.begin();
    for (let passed = 0; passed < 1_000; passed += 100) {
      await turns();
      delay = delay === 1_000 ? 1_200 : 1_000;
      changeDelay();
      await turns();
      expect(runs).toEqual([]);
      clock.advance(100);
    }
    await turns();
    expect(runs).toEqual(['poll']);
    runner.stop();
  });

  it('counts as settled while a run that has failed waits for its turn, and as busy while it runs again', async () => {
    const { clock, runner, end } = setUp();
    runner.wake('start');
    await turns();
    let isSettled = false;
    const settled = runner.settled().then(() => (isSettled = true));
    await turns();
    expect(isSettled).toBe(false);
    end('fail');
    await settled;
    clock.advance(100);
    await turns();
    expect(runner.isIdle).toBe(false);
    runner.stop();
    expect(runner.isIdle).toBe(false);
    end('done');
    await runner.settled();
  });

  it('lets timers and sockets have their turn while there is work again and again', async () => {
    let count = 0;
    const { runner } = setUp({ run: () => (count += 1) });
    runner.wake('start');
    await new Promise<void>((resolve) => setTimeout(resolve, 1)); // Would never fire.
    expect(count).toBeGreaterThan(0);
    runner.stop();
    const last = count;
    await turns();
    expect(count).toBe(last);
  });
});
