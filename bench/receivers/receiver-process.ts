/** A child process that receives numbered messages with one of the libraries, and measures itself meanwhile. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { deferred, type Deferred } from '../frame/deferred.js';
import { monotonic } from '../frame/monotonic.js';
import { SequenceCheck, type SequenceResult } from '../frame/sequence-check.js';
import { fanIn } from './fan-in.js';
import { RECEIVERS, type ReceiverName } from './loaders.js';
import type { ReceiverOptions, Receiving } from './receiver.js';

/** What a receiver measured, from the call of {@link expect} to the last message. */
export interface Received {
  readonly sequence: SequenceResult;
  /** CPU time of the process, in nanoseconds a message. */
  readonly cpuPerMessage: number;
  /** How often `JSON.parse()` was called for each message. */
  readonly decodesPerMessage: number;
  /** When the first and the last message arrived, in nanoseconds of the monotonic clock. */
  readonly firstAt: number;
  readonly lastAt: number;
  /** When each message arrived, if that was asked for. */
  readonly arrivals: readonly number[];
  /** Milliseconds that a timer of one millisecond was late. */
  readonly loopDelay: { readonly p99: number; readonly max: number };
  /** The largest resident memory that the process has had, in MB. */
  readonly peakMemory: number;
}

/** Milliseconds without a message after which the rest counts as lost. */
const SILENCE = 10_000;
/** Milliseconds to wait after the last message for others that should not come. */
const AFTERMATH = 100;
/** Milliseconds between the timers of the event-loop histogram, which counts them in. */
const RESOLUTION = 1;

interface Run {
  readonly check: SequenceCheck;
  readonly first: number;
  readonly count: number;
  readonly arrivals: number[] | undefined;
  readonly parsedBefore: number;
  readonly cpuBefore: NodeJS.CpuUsage;
  readonly droppedBefore: number;
  readonly delays: ReturnType<typeof monitorEventLoopDelay>;
  readonly ended: Deferred<void>;
  parsed: number;
  cpu?: NodeJS.CpuUsage;
  firstAt: number;
  lastAt: number;
}

/** How often this process has parsed JSON. */
let parsed = 0;
const parse = JSON.parse;

/** Counts calls of `JSON.parse()` from here on. The messages between processes do not pass through it. */
export function countDecodes(): void {
  JSON.parse = (...args: Parameters<typeof parse>): unknown => {
    parsed += 1;
    return parse(...args);
  };
}

let receiving: Receiving | undefined;
let run: Run | undefined;

export interface Start extends ReceiverOptions {
  readonly receiver: ReceiverName;
}

/** Begins to listen. */
export async function start({ receiver, ...options }: Start): Promise<void> {
  const startReceiver = await RECEIVERS[receiver].load();
  const note = options.decode === 'json' ? noteJson : noteText;
  const { consumers = 1 } = options;
  receiving = await startReceiver(options, consumers === 1 ? note : fanIn(consumers, note));
}

/** Payloads are texts that begin with the number, which has seven digits, or objects that have it as `seq`. */
function noteText(payload: unknown): void {
  noteNumber(Number((payload as string).slice(0, 7)));
}

function noteJson(payload: unknown): void {
  noteNumber((payload as { readonly seq: number }).seq);
}

function noteNumber(number: number): void {
  if (run === undefined) return;
  run.check.note(number);
  run.arrivals?.push(monotonic());
  if (run.firstAt === 0) run.firstAt = monotonic();
  if (run.check.hasLast && run.cpu === undefined) end(run);
}

function end(ending: Run): void {
  ending.lastAt = monotonic();
  ending.cpu = process.cpuUsage(ending.cpuBefore);
  ending.parsed = parsed - ending.parsedBefore;
  ending.delays.disable();
  ending.ended.resolve();
}

export interface Expected {
  /** The messages `first` to `first + count - 1` will be sent. */
  readonly first: number;
  readonly count: number;
  /** Whether to keep when each arrives. @default false */
  readonly timed?: boolean;
  /** How many channels they are spread over. Order is checked within each. @default 1 */
  readonly channels?: number | undefined;
}

/** Begins to measure. */
export function expect({ first, count, timed, channels }: Expected): void {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION });
  run = {
    check: new SequenceCheck(first, count, channels),
    first,
    count,
    arrivals: timed ? [] : undefined,
    droppedBefore: receiving?.dropped() ?? 0,
    delays,
    parsedBefore: parsed,
    ended: deferred(),
    cpuBefore: process.cpuUsage(),
    parsed: 0,
    firstAt: 0,
    lastAt: 0,
  };
  delays.enable();
}

/** How many messages have come in, for receivers that hand none over. */
export function received(): number {
  return receiving?.received?.() ?? 0;
}

/** Bytes of the heap and outside of it, after a collection. */
export function memory(): number {
  globalThis.gc?.();
  globalThis.gc?.(); // What finalizers release at the first time goes at the second.
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Resolves when the last message has arrived, or no more come. */
export async function finished(): Promise<Received> {
  if (run === undefined) throw new Error('Call expect() first.');
  const ending = run;
  const watch = endWhenSilent(ending);
  await ending.ended.promise;
  clearInterval(watch);
  await new Promise((resolve) => setTimeout(resolve, AFTERMATH));
  run = undefined;
  const { user, system } = ending.cpu!;
  const milliseconds = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION);
  return {
    sequence: ending.check.result((receiving?.dropped() ?? 0) - ending.droppedBefore),
    cpuPerMessage: ((user + system) * 1_000) / ending.count,
    decodesPerMessage: ending.parsed / ending.count,
    firstAt: ending.firstAt,
    lastAt: ending.lastAt,
    arrivals: ending.arrivals ?? [],
    loopDelay: { p99: milliseconds(ending.delays.percentile(99)), max: milliseconds(ending.delays.max) },
    peakMemory: process.resourceUsage().maxRSS / 1_024,
  };
}

function endWhenSilent(ending: Run): NodeJS.Timeout {
  let arrivals = -1;
  return setInterval(() => {
    if (ending.check.arrivals === arrivals && ending.cpu === undefined) end(ending);
    arrivals = ending.check.arrivals;
  }, SILENCE);
}
