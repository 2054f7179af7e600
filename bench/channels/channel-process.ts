/** A child process that listens to many channels with one of the libraries, and measures what they cost. */
import { deferred } from '../frame/deferred.js';
import { monotonic } from '../frame/monotonic.js';
import { LISTENERS, type ListenerName } from './loaders.js';
import type { ManyChannels } from './many-channels.js';

let listening: ManyChannels | undefined;

export interface Open {
  readonly url: string;
  readonly receiver: ListenerName;
  /** Channels that are listened to from the start. */
  readonly channels: readonly string[];
}

/** What grew, from before to after. */
export interface Growth {
  /** Bytes of the heap and outside of it, after a collection. */
  readonly bytes: number;
  readonly milliseconds: number;
}

/** Connects, and listens to the channels. Returns what that took. */
export async function open({ url, receiver, channels }: Open): Promise<Growth> {
  const connect = await LISTENERS[receiver].load();
  return growthOf(async () => {
    listening = await connect(url, channels, note);
  });
}

/** Listens to more channels, on the connection that is open. */
export function listen(channels: readonly string[]): Promise<Growth> {
  return growthOf(() => opened().listen(channels));
}

export interface Churn {
  readonly channel: string;
  /** Subscribers that stay, of the same channel. */
  readonly subscribers: number;
  /** How often one more comes and goes. */
  readonly cycles: number;
}

/** Subscribes `subscribers` times, then lets one more come and go `cycles` times. Returns what those cycles took. */
export async function churn({ channel, subscribers, cycles }: Churn): Promise<Growth> {
  const { subscribe } = opened();
  if (subscribe === undefined) throw new Error('This receiver cannot subscribe and unsubscribe without waiting.');
  for (let index = 0; index < subscribers; index += 1) subscribe(channel);
  await opened().settled?.();
  const cycle = (): void => {
    for (let index = 0; index < cycles; index += 1) subscribe(channel)();
  };
  cycle(); // So that V8 has compiled it.
  return growthOf(async () => cycle());
}

/** Keeps this process from doing anything else for a while, in milliseconds. */
export function block(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

/** How often the connection was lost and made anew. */
export function reconnects(): number {
  return opened().reconnects?.() ?? 0;
}

/** The channels of which nothing has come since {@link awaitFirstMessages}. */
let silent = new Set<string>();
let allHeard = deferred<number>();

function note(channel: string): void {
  if (silent.delete(channel) && silent.size === 0) allHeard.resolve(monotonic());
}

/** Resolves when each of the channels has had a notification since, with the time on the monotonic clock. */
export function awaitFirstMessages(channels: readonly string[]): Promise<number> {
  allHeard = deferred();
  silent = new Set(channels);
  return allHeard.promise;
}

/** CPU time of this process, in milliseconds. */
export function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** Memory after a collection, as `bytes`, of the process as it is now. */
export function memory(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function growthOf(work: () => Promise<void>): Promise<Growth> {
  const bytes = memory();
  const begun = performance.now();
  await work();
  const milliseconds = performance.now() - begun;
  return { bytes: memory() - bytes, milliseconds };
}

/** Twice: what finalizers release at the first time goes at the second. */
function collect(): void {
  globalThis.gc?.();
  globalThis.gc?.();
}

function opened(): ManyChannels {
  if (listening === undefined) throw new Error('Call open() first.');
  return listening;
}
