import type { EventAdmin, PgDeadLetter } from '../event-log/event-store.js';
import { consumerFindings, printConsumers } from './events-status.js';
import type { Terminal } from './terminal.js';

/** What an action is asked to do; each reads what it takes. */
export interface EventActionCall {
  readonly consumer: string;
  /** Undefined for all. */
  readonly ids: readonly string[] | undefined;
  readonly limit: number;
  readonly since: Date;
  /** In milliseconds, as all of these. */
  readonly olderThan: number;
  readonly maxLag: number | undefined;
  readonly isJson: boolean;
  readonly terminal: Terminal;
}

/** What can be done with the event log. */
export interface EventAction {
  readonly takesConsumer?: true;
  readonly takesIds?: true;
  readonly takesTime?: true;
  /** Resolves with the exit code. */
  readonly run: (admin: EventAdmin, call: EventActionCall) => Promise<number>;
}

export const EVENT_ACTIONS: Readonly<Record<string, EventAction>> = {
  status: {
    run: async (admin, { maxLag, isJson, terminal }) => {
      const consumers = await admin.consumers();
      const findings = consumerFindings(consumers, maxLag);
      const ok = findings.every(({ level }) => level !== 'problem');
      if (isJson) terminal.json({ ok, consumers });
      else printConsumers(findings, terminal);
      return ok ? 0 : 1;
    },
  },
  dead: {
    takesConsumer: true,
    run: async (admin, { consumer, limit, isJson, terminal }) => {
      await requireConsumer(admin, consumer);
      const deadLetters = await admin.deadLetters(consumer, { limit });
      if (isJson) terminal.json({ deadLetters });
      else printDeadLetters(deadLetters, terminal);
      return 0;
    },
  },
  requeue: {
    takesConsumer: true,
    takesIds: true,
    run: async (admin, call) => {
      await requireConsumer(admin, call.consumer);
      const count = await admin.requeue(call.consumer, call.ids);
      return tell(call, count, `${letters(count)} will be tried again.`);
    },
  },
  discard: {
    takesConsumer: true,
    takesIds: true,
    run: async (admin, call) => {
      await requireConsumer(admin, call.consumer);
      const count = await admin.discard(call.consumer, call.ids);
      return tell(call, count, `${letters(count)} forgotten.`);
    },
  },
  replay: {
    takesConsumer: true,
    takesTime: true,
    run: (admin, call) =>
      ofConsumer(call, admin.replay(call.consumer, call.since), () => {
        return `gets again what was published since ${call.since.toISOString()}.`;
      }),
  },
  pause: {
    takesConsumer: true,
    run: (admin, call) => ofConsumer(call, admin.pause(call.consumer), () => 'is paused.'),
  },
  resume: {
    takesConsumer: true,
    run: (admin, call) => ofConsumer(call, admin.resume(call.consumer), () => 'goes on.'),
  },
  drop: {
    takesConsumer: true,
    run: (admin, call) => ofConsumer(call, admin.drop(call.consumer), () => 'is forgotten.'),
  },
  prune: {
    run: async (admin, call) => {
      const count = await admin.prune(call.olderThan);
      return tell(call, count, `${count} ${count === 1 ? 'event' : 'events'} deleted.`);
    },
  },
  rebase: {
    run: async (admin, call) => {
      const count = await admin.rebase();
      const done = `The positions of ${count} ${count === 1 ? 'consumer' : 'consumers'} or shards are valid here now.`;
      return tell(call, count, count === 0 ? 'All positions are of this cluster: nothing was to be done.' : done);
    },
  },
};

function letters(count: number): string {
  return `${count} dead ${count === 1 ? 'letter' : 'letters'}`;
}

function tell({ isJson, terminal }: EventActionCall, count: number, text: string): number {
  if (isJson) terminal.json({ count });
  else terminal.line([text]);
  return 0;
}

async function ofConsumer(call: EventActionCall, work: Promise<number>, text: () => string): Promise<number> {
  const count = await work;
  if (count === 0) throw noConsumer(call.consumer);
  return tell(call, count, `The consumer ${JSON.stringify(call.consumer)} ${text()}`);
}

/** A name that is misspelt must not look like a consumer without dead letters. */
async function requireConsumer(admin: EventAdmin, consumer: string): Promise<void> {
  const consumers = await admin.consumers();
  if (!consumers.some((state) => state.consumer === consumer)) throw noConsumer(consumer);
}

function noConsumer(consumer: string): Error {
  return new Error(`There is no consumer ${JSON.stringify(consumer)}. See them: nest-pg-notify events status`);
}

/** How much of a payload is printed, in characters; `--json` has all of it. */
const LONGEST = 1_000;

function printDeadLetters(deadLetters: readonly PgDeadLetter[], terminal: Terminal): void {
  for (const { id, channel, key, attempts, error, failedAt, payload } of deadLetters) {
    const ofKey = key === undefined ? '' : `, key ${JSON.stringify(key)}`;
    const tried = `${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`;
    terminal.line([['bold', id], `  ${channel}${ofKey}, ${tried}, ${failedAt.toISOString()}`]);
    if (error !== undefined) terminal.line(['  ', ['red', error]]);
    terminal.line([`  ${payload.length > LONGEST ? `${payload.slice(0, LONGEST)}…` : payload}`]);
  }
  if (deadLetters.length === 0) terminal.line(['No dead letters.']);
}
