import type { PgGap, PgGapReason } from '../../lib/channel/pg-gap.js';
import type { PgNotification } from '../../lib/channel/pg-notification.js';
import { GapGate } from '../../lib/consumers/gap-gate.js';
import type { GapMethod } from '../../lib/consumers/gap-barrier.js';
import { HandlerQueue } from '../../lib/consumers/handler-queue.js';
import type { Taken } from '../../lib/consumers/handler-queue.js';
import type { HandlerQueueMode } from '../../lib/consumers/queue-mode.js';
import type { HandlerCounters } from '../../lib/consumers/handler-counters.js';
import { HandlerCalls } from '../../lib/consumers/handler-calls.js';
import { HandlerRecord } from '../../lib/consumers/handler-record.js';
import type { HandlerDefinition } from '../../lib/consumers/handler-record.js';
import { TurnBudget } from '../../lib/time/turn-budget.js';
import { consumerContext } from './consumer-context.js';
import { FakeClock } from './fake-server.js';
import { turn } from './turn.js';

/** What handlers do: those of `held` wait until the test lets them go on. */
export type Behaviour = 'returns' | 'throws' | 'resolves' | 'rejects' | 'held';

export interface QueueModel {
  readonly mode: HandlerQueueMode;
  readonly bufferSize: number;
  /** Of its runs, in turn. */
  readonly behaviours: readonly Behaviour[];
}

export interface MethodModel {
  readonly reasons: readonly PgGapReason[];
}

interface Payload {
  readonly id: number;
  readonly key: number;
}

/** A run that waits for the test. */
export interface HeldRun {
  readonly end: (fails: boolean) => void;
}

/**
 * The queues and gap methods of one provider and channel, and the invariants that they keep: each is checked at the moment
 * at which it could be broken, and `problems` names what was.
 */
export class GateModel {
  readonly problems: string[] = [];
  readonly clock = new FakeClock();
  readonly closing = new AbortController();
  readonly gate: GapGate;
  readonly queues: ObservedQueue[];
  readonly methods: ObservedMethod[];
  private time = 0;
  isStopped = false;

  constructor(queues: readonly QueueModel[], methods: readonly MethodModel[]) {
    this.methods = methods.map((model) => new ObservedMethod(this, model));
    this.gate = new GapGate(this.methods, this.clock, this.closing.signal);
    const budget = new TurnBudget();
    this.queues = queues.map((model, index) => new ObservedQueue(this, `queue ${index}`, model, budget));
  }

  /** The next moment: no two events of the model share one. */
  now(): Date {
    this.time += 1;
    return new Date(this.time);
  }

  /** A notification comes to all queues. */
  push(key: number): void {
    const receivedAt = this.now();
    const payload = { id: this.time, key };
    for (const queue of this.queues) queue.push({ channel: 'c', raw: '', payload, processId: 1, receivedAt });
  }

  /** A gap comes to all queues. */
  gap(reason: PgGapReason): void {
    const since = this.now();
    const gap: PgGap = { channel: 'c', reason, ...(reason !== 'start' && { since }), until: this.now() };
    for (const method of this.methods) method.announced(gap);
    this.gate.announce(gap);
  }

  stop(): void {
    this.isStopped = true;
    for (const queue of this.queues) queue.stop();
    this.closing.abort(new Error('closed'));
  }

  /** Whether a gap method runs, or has failed and is still to be called again. */
  get isBarred(): boolean {
    return this.methods.some(({ isRunning, isFailing }) => isRunning || isFailing);
  }

  get isBusy(): boolean {
    return this.queues.some(({ active }) => active > 0);
  }

  check(rule: string, holds: boolean): void {
    if (!holds) this.problems.push(`Broken: ${rule}.`);
  }

  /** Lets everything end: from now on all that is held succeeds. */
  async settle(): Promise<void> {
    for (const queue of this.queues) queue.end();
    for (let rounds = 0; !this.isIdle; rounds += 1) {
      if (rounds > 1_000) return void this.problems.push('Broken: at the end everything settles.');
      await turn();
      this.checkCounts();
      for (const { held } of [...this.queues, ...this.methods]) for (const run of held.splice(0)) run.end(false);
      this.clock.advance(30_000);
    }
    await Promise.all([...this.queues.map((queue) => queue.settled()), this.gate.settled()]);
    this.checkAtEnd();
  }

  /** To be asked when all that has ended is counted: at the begin of a turn. */
  checkCounts(): void {
    if (!this.isStopped) for (const queue of this.queues) queue.checkCounts();
  }

  private get isIdle(): boolean {
    return this.gate.isIdle && this.queues.every(({ isIdle }) => isIdle);
  }

  private checkAtEnd(): void {
    this.checkCounts();
    const dropped = this.queues.reduce((sum, queue) => sum + queue.dropped, 0);
    for (const method of this.methods) method.checkAtEnd(dropped);
    this.check('nothing sleeps at the end', this.clock.sleeping === 0);
  }
}

class ObservedQueue {
  readonly held: HeldRun[] = [];
  active = 0;
  private itemsActive = 0;
  private runs = 0;
  private pushed: Payload[] = [];
  private readonly started = new Set<number>();
  private lastStarted = 0;
  private readonly lastOfKey = new Map<unknown, number>();
  private readonly counters: HandlerCounters;
  private readonly queue: HandlerQueue;

  constructor(
    private readonly model: GateModel,
    label: string,
    private readonly spec: QueueModel,
    budget: TurnBudget,
  ) {
    const { mode, bufferSize } = spec;
    const context = consumerContext({ budget });
    const call = (items: Taken): unknown => this.call([items].flat());
    const definition: HandlerDefinition<Taken> = { label, channel: 'c', call, timeout: undefined };
    const record = new HandlerRecord<Taken>(definition, 'notification', context);
    const { counters } = record;
    this.counters = counters;
    const { gate, closing } = model;
    const onOverflow = (): void => undefined;
    this.queue = new HandlerQueue({
      label,
      channel: 'c',
      mode,
      bufferSize,
      calls: new HandlerCalls(definition, 'c', record, context),
      counters,
      closing: closing.signal,
      gate,
      context,
      onOverflow,
    });
  }

  get isIdle(): boolean {
    return this.queue.isIdle;
  }

  get dropped(): number {
    return this.counters.dropped;
  }

  push(notification: PgNotification): void {
    if (!this.model.isStopped) this.pushed.push(notification.payload as Payload);
    this.queue.push(notification);
    this.model.check('no more wait than the buffer holds', this.queue.depth.waiting <= this.spec.bufferSize);
  }

  end(): void {
    this.queue.end();
  }

  stop(): void {
    const { waiting } = this.queue.depth;
    this.model.check('stop() tells how many waited', this.queue.stop() === waiting);
  }

  settled(): Promise<void> {
    return this.queue.settled();
  }

  /** Those that were received before this moment and have neither been started nor dropped. */
  waitsFrom(moment: number): boolean {
    const { dropped, conflated } = this.counters;
    const before = this.pushed.filter(({ id }) => id < moment);
    if (this.spec.mode.latest) return before.some((item) => !this.isOvertaken(item) && !this.started.has(item.id));
    const unstarted = before.filter(({ id }) => !this.started.has(id)).length;
    return unstarted > dropped + conflated;
  }

  checkCounts(): void {
    const { delivered, failed, dropped, conflated } = this.counters;
    const known = delivered + failed + dropped + conflated + this.queue.depth.waiting + this.itemsActive;
    const { length } = this.pushed;
    this.model.check(`each notification is counted once (${length}, not ${known})`, known === length);
  }

  /** Whether a newer one has taken its place, or may have. */
  private isOvertaken(item: Payload): boolean {
    const keyOf = this.spec.mode.latest!;
    return this.dropped > 0 || this.pushed.some((other) => other.id > item.id && keyOf(other) === keyOf(item));
  }

  private call(items: readonly PgNotification[]): unknown {
    const { model, spec } = this;
    const ids = items.map(({ payload }) => (payload as Payload).id);
    model.check('nothing runs after the stop', !model.isStopped);
    model.check('nothing runs while a gap method runs or has failed', !model.isBarred);
    model.check('no more run than may', this.active < spec.mode.concurrency);
    model.check('no batch is larger than may be', items.length > 0 && items.length <= (spec.mode.batch?.maxSize ?? 1));
    for (const item of items) this.checkOrder(item.payload as Payload);
    for (const method of model.methods) method.checkTold(ids[0]!);
    if (spec.mode.batch) for (const method of model.methods) method.checkTold(ids.at(-1)!);
    return this.behave(ids.length);
  }

  private checkOrder({ id, key }: Payload): void {
    const { model, spec } = this;
    if (spec.mode.latest) {
      const group = spec.mode.latest({ id, key });
      model.check('the newest of a key follows its older ones', id > (this.lastOfKey.get(group) ?? 0));
      this.lastOfKey.set(group, id);
    } else {
      model.check('order is kept', id > this.lastStarted);
      this.lastStarted = id;
    }
    this.started.add(id);
  }

  private behave(count: number): unknown {
    const behaviour = this.spec.behaviours[this.runs % this.spec.behaviours.length]!;
    this.runs += 1;
    // What runs synchronously is counted by the time that anybody can look.
    if (behaviour === 'returns') return undefined;
    if (behaviour === 'throws') throw new Error('thrown');
    this.active += 1;
    this.itemsActive += count;
    const running = new Promise<void>((resolve, reject) => {
      const end = (fails: boolean): void => (fails ? reject(new Error('rejected')) : resolve());
      if (behaviour === 'held') this.held.push({ end });
      else end(behaviour === 'rejects');
    });
    const ended = (): void => {
      this.active -= 1;
      this.itemsActive -= count;
    };
    // Before the queue learns of it.
    return running.then(ended, (error: unknown) => {
      ended();
      throw error;
    });
  }
}

class ObservedMethod implements GapMethod {
  readonly held: HeldRun[] = [];
  isRunning = false;
  isFailing = false;
  private readonly gaps: { readonly gap: PgGap; isMerged: boolean }[] = [];
  /** The `until` of the last regular gap that it was told with success. */
  private toldUntil = 0;
  private toldDropped = 0;

  constructor(
    private readonly model: GateModel,
    private readonly spec: MethodModel,
  ) {}

  accepts(reason: PgGapReason): boolean {
    return this.spec.reasons.includes(reason);
  }

  announced(gap: PgGap): void {
    if (this.accepts(gap.reason) && !this.model.isStopped) {
      this.gaps.push({ gap, isMerged: this.model.methods.some(({ isFailing }) => isFailing) });
    }
  }

  async run(gap: PgGap): Promise<void> {
    const { model } = this;
    model.check('no gap method runs after the stop', !model.isStopped);
    model.check(
      'one gap method at a time',
      model.methods.every(({ isRunning }) => !isRunning),
    );
    model.check('no gap method runs beside a handler', !model.isBusy);
    this.checkBefore(gap);
    this.isRunning = true;
    const fails = await new Promise<boolean>((resolve) => this.held.push({ end: resolve }));
    this.isRunning = false;
    this.isFailing = fails;
    if (fails) {
      for (const { gaps } of model.methods) for (const announced of gaps) announced.isMerged = true;
      throw new Error('failed');
    }
    this.toldDropped += gap.dropped ?? 0;
    if (gap.reason === 'overflow') return;
    model.check('no gap is told again, or after a newer one', gap.until.getTime() > this.toldUntil);
    const told = this.gaps.filter(({ gap: { until } }) => until.getTime() > this.toldUntil && until <= gap.until);
    model.check('what is told was announced', told.length > 0);
    this.checkMerged(
      gap,
      told.map((each) => each.gap),
    );
    this.toldUntil = gap.until.getTime();
  }

  /** What was received after a gap runs when its methods have succeeded. */
  checkTold(id: number): void {
    const owed = this.gaps.some(({ gap: { until } }) => until.getTime() < id && until.getTime() > this.toldUntil);
    this.model.check('nothing that was received after a gap runs before its methods have succeeded', !owed);
  }

  checkAtEnd(dropped: number): void {
    const { model, gaps } = this;
    model.check(
      'every gap is told',
      gaps.every(({ gap }) => gap.until.getTime() <= this.toldUntil),
    );
    if (!this.accepts('overflow')) return;
    model.check(
      `what was dropped is told, exactly (${dropped}, not ${this.toldDropped})`,
      this.toldDropped === dropped,
    );
  }

  /** What was received before a gap that has not been merged into another has been run by now. */
  private checkBefore({ reason, until }: PgGap): void {
    const announced = this.gaps.find(({ gap }) => gap.until === until && gap.reason === reason);
    if (!announced || announced.isMerged) return;
    const waits = this.model.queues.some((queue) => queue.waitsFrom(until.getTime()));
    this.model.check('what was received before a gap runs before its methods', !waits);
  }

  private checkMerged({ reason, since }: PgGap, told: readonly PgGap[]): void {
    const { model } = this;
    const isStart = told.some((gap) => gap.reason === 'start');
    model.check('a start stays one', isStart === (reason === 'start'));
    if (isStart) return model.check('a start has no since', since === undefined);
    const earliest = Math.min(...told.map((gap) => gap.since!.getTime()));
    model.check('since is the earliest', since !== undefined && since.getTime() <= earliest);
  }
}
