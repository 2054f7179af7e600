import type { HandlerName, SignalKind } from './adapters/adapter.js';

/** Something that happened; seconds since the trial began. */
interface Timed {
  readonly at: number;
}

export interface Sent extends Timed {
  readonly n: number;
}

export interface Received extends Timed {
  readonly handler: HandlerName;
  /** The number that was sent, or what the handler got instead. */
  readonly payload: unknown;
}

export interface Signal extends Timed {
  readonly kind: SignalKind;
  readonly text: string;
}

export interface Extra {
  /** A notification arrived before the fault began. */
  deliveredBefore?: boolean;
  /** The one notification of a trial about channel names arrived. */
  arrived?: boolean;
  /** The statement in the channel's name was run. */
  tableDropped?: boolean;
  /** The handler got the text that is not JSON. */
  handlerGotText?: boolean;
  /** The trial itself failed: its facts are worthless. */
  harnessFailed?: string;
}

/** What was seen in one trial: a peer under a fault. Nothing in it is an opinion. */
export interface Facts {
  readonly peer: string;
  readonly fault: string;
  start?: { readonly outcome: 'started' | 'refused' | 'no answer'; readonly after: number; readonly text?: string };
  /** When the fault began and when it was over; seconds since the trial began. */
  brokenAt?: number;
  healedAt?: number;
  /** Whether a notification arrived after the fault, and how many seconds after the fault had begun and was over. */
  again?: { readonly delivered: boolean; readonly afterBreak?: number; readonly afterHeal?: number };
  /** For how many seconds after the fault was over it was watched, at most. */
  watchedFor?: number;
  /** Notifications that were committed after the fault had begun and never reached the first handler. */
  lost: number;
  /** Notifications that the first handler got and the second, on the same channel, did not. */
  lostToSecond: number;
  /** Notifications that reached one handler more than once. */
  duplicates: number;
  /** What the peer told of, after the fault had begun and before the first new notification, behind what was lost if anything was. */
  told: { gap: boolean; down: boolean; error: boolean; log: boolean };
  crash?: { readonly at: number; readonly origin: string; readonly text: string };
  /** Backends of the peer when all was over; those of a pooler do not count. */
  backends?: number;
  stop?: {
    readonly resolvedAfter: number | null;
    readonly exitedAfter: number | null;
    readonly failure?: string;
    readonly backendsLeft?: number;
  };
  /** Whether the password appeared in what the process wrote. */
  passwordWritten?: boolean;
  /** What only some faults ask. */
  readonly extra: Extra;
  readonly sent: Sent[];
  readonly received: Received[];
  readonly signals: Signal[];
}

export function emptyFacts(peer: string, fault: string): Facts {
  const told = { gap: false, down: false, error: false, log: false };
  return { peer, fault, lost: 0, lostToSecond: 0, duplicates: 0, told, extra: {}, sent: [], received: [], signals: [] };
}

/** Fills in what follows from the raw records. */
export function conclude(facts: Facts): void {
  const { sent, received, signals, brokenAt = 0 } = facts;
  const numbers = received.filter(({ handler }) => handler === 'first').map(({ payload }) => payload);
  const lost = sent.filter(({ n, at }) => at >= brokenAt && !numbers.includes(n));
  facts.lost = lost.length;
  const seconds = received.filter(({ handler }) => handler === 'second').map(({ payload }) => payload);
  facts.lostToSecond = numbers.filter((n) => !seconds.includes(n)).length;
  const seen = received.map(({ handler, payload }) => `${handler} ${String(payload)}`);
  facts.duplicates = seen.length - new Set(seen).size;
  // Some may arrive before a loss: who reads on after it has to be told.
  const [firstLost] = lost;
  const firstNew = received.find(({ at, payload }) =>
    sent.some(({ n, at: sentAt }) => n === payload && sentAt > brokenAt && at > brokenAt && n > (firstLost?.n ?? 0)),
  );
  const meanwhile = signals.filter(({ at }) => at >= brokenAt && at <= (firstNew?.at ?? Infinity) + 0.25);
  for (const { kind } of meanwhile) facts.told[kind] = true;
}

/** The facts without every single notification, and with the first signals and the last. */
export function summary({ sent, received, signals, ...facts }: Facts): object {
  const few = signals.length > 4 ? [...signals.slice(0, 3), ...signals.slice(-1)] : signals;
  return { ...facts, sent: sent.length, received: received.length, signalCount: signals.length, signals: few };
}
