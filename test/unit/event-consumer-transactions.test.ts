import { describe, expect, it } from '@jest/globals';
import type { EventRun } from '../../lib/event-log/event-consumer-definition.js';
import type { EventShardStore, EventStore } from '../../lib/event-log/event-store.js';
import type { PgEvent } from '../../lib/event-log/pg-event.js';
import type { MemoryEventStore } from '../../lib/testing/memory-event-store.js';
import { MemoryLog } from '../support/event-consumers.js';
import { turns } from '../support/turn.js';

/** Keeps what is written in a transaction until that commits. */
class Effects {
  readonly committed: string[] = [];
  /** All that ran, whether it was committed or not. */
  readonly runs: string[] = [];
  private written: string[] = [];

  constructor(
    private readonly store: MemoryEventStore,
    private readonly onCommit: () => void = () => undefined,
  ) {}

  get log(): Pick<EventStore, 'shard'> {
    return { shard: (id) => this.transactional(this.store.shard(id)) };
  }

  write(payload: string): void {
    this.runs.push(payload);
    this.written.push(payload);
  }

  private transactional(shard: EventShardStore): EventShardStore {
    const transaction: EventShardStore['transaction'] = (work) =>
      shard.transaction(async (given) => {
        this.written = [];
        await work(given);
        this.onCommit();
        this.committed.push(...this.written);
      });
    return Object.assign(Object.create(shard) as EventShardStore, { transaction });
  }
}

function writing(effects: () => Effects, fails: (payload: string) => boolean = () => false) {
  return ([event]: readonly PgEvent[], { tx }: EventRun): void => {
    const payload = event!.payload as string;
    if (tx !== 'a transaction') throw new Error('No transaction.');
    effects().write(payload);
    if (fails(payload)) throw new Error(`no ${payload}`);
  };
}

describe('a transactional consumer', () => {
  it('commits its effects with the cursor, several events in each transaction', async () => {
    const memory = new MemoryLog();
    const effects = new Effects(memory.store);
    const call = writing(() => effects);
    await memory.consume({ isTransactional: true, call }, { store: effects.log });
    memory.publish('a1', 'a2', 'a3');
    await turns();
    expect(effects.committed).toEqual(['a1', 'a2', 'a3']);
    expect(await memory.store.consumers()).toMatchObject([{ waiting: 0, retrying: 0 }]);
  });

  it('runs the events before a failing one again, commits them, and records the failure', async () => {
    const memory = new MemoryLog();
    const effects = new Effects(memory.store);
    let isBroken = true;
    const call = writing(
      () => effects,
      (payload) => isBroken && payload === 'a2',
    );
    await memory.consume({ isTransactional: true, call }, { store: effects.log });
    memory.publish('a1', 'a2', 'b1', 'a3');
    await turns();
    expect(effects.committed).toEqual(['a1', 'b1']);
    isBroken = false;
    await memory.pass(2_000);
    expect(effects.committed).toEqual(['a1', 'b1', 'a2', 'a3']);
    expect(await memory.store.consumers()).toMatchObject([{ waiting: 0, retrying: 0, dead: 0 }]);
  });

  it('gives up an event that fails for good, and never commits its effects', async () => {
    const memory = new MemoryLog();
    const effects = new Effects(memory.store);
    const call = writing(
      () => effects,
      (payload) => payload === 'a1',
    );
    await memory.consume({ isTransactional: true, call }, { store: effects.log });
    memory.publish('a1', 'a2');
    await memory.pass(10_000);
    expect(effects.committed).toEqual(['a2']);
    expect(await memory.store.deadLetters('billing', { limit: 10 })).toMatchObject([{ attempts: 3, error: 'no a1' }]);
  });

  it('treats an error of COMMIT as a failure of the handler', async () => {
    const memory = new MemoryLog();
    let isViolated = true;
    const effects = new Effects(memory.store, () => {
      if (isViolated) throw Object.assign(new Error('violates a deferred constraint'), { code: '23503' });
    });
    const call = writing(() => effects);
    await memory.consume({ isTransactional: true, call }, { store: effects.log });
    memory.publish('a1');
    await turns();
    expect(await memory.store.consumers()).toMatchObject([{ waiting: 0, retrying: 1 }]);
    isViolated = false;
    await memory.pass(1_100);
    expect(effects.committed).toEqual(['a1']);
  });

  it('names the event for which COMMIT fails, once it is alone in its transaction', async () => {
    const memory = new MemoryLog();
    const effects = new Effects(memory.store, () => {
      if (effects.runs.at(-1) === 'b1') throw Object.assign(new Error('violated'), { code: '23503' });
    });
    await memory.consume({ isTransactional: true, call: writing(() => effects) }, { store: effects.log });
    memory.publish('a1', 'b1');
    await turns();
    expect(memory.reports).toEqual([
      'warning: Handler Billing.charge failed for an event of the channel "orders": violated',
      expect.stringMatching(
        /^warning: .+ failed for the event \S+ at position 2 of the channel "orders" \(attempt 1 of 3\): violated$/,
      ),
    ]);
  });

  it('claims the shard again, and repeats, if it is unknown whether COMMIT succeeded', async () => {
    const memory = new MemoryLog();
    let isLost = true;
    const effects = new Effects(memory.store, () => {
      if (isLost) throw Object.assign(new Error('connection lost'), { code: '08006' });
    });
    const call = writing(() => effects);
    await memory.consume({ isTransactional: true, call }, { store: effects.log });
    memory.publish('a1');
    await turns();
    expect(await memory.store.consumers()).toMatchObject([{ waiting: 1, retrying: 0 }]);
    isLost = false;
    await memory.pass(500);
    expect(effects.committed).toEqual(['a1']);
  });

  it('commits nothing of a batch that fails, and all of one that succeeds', async () => {
    const memory = new MemoryLog();
    const effects = new Effects(memory.store);
    let isBroken = true;
    const call = (events: readonly PgEvent[]): void => {
      for (const { payload } of events) effects.write(payload as string);
      if (isBroken) throw new Error('no');
    };
    await memory.consume({ isTransactional: true, batch: { maxSize: 2 }, call }, { store: effects.log });
    memory.publish('a1', 'a2', 'a3');
    await turns();
    expect(effects.committed).toEqual([]);
    isBroken = false;
    await memory.pass(1_100);
    expect(effects.committed).toEqual(['a1', 'a2', 'a3']);
  });
});
