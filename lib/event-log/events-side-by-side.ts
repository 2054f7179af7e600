import type { FailedEvent, StoredEvent } from './event-store.js';
import { mayStartNext, handle, parked } from './event-work.js';
import type { EventWork, PageOfEvents } from './event-work.js';

/** The outcome of an event of a page; undefined if it was not started. */
type Fate = 'handled' | FailedEvent | undefined;

/**
 * Handles a page without transactions: one event of each key at a time, and as many keys at once as the consumer allows. With a
 * concurrency of 1, all events are handled in the order of the log. Events wait behind a failed event of their key.
 */
export async function workSideBySide(work: EventWork, page: PageOfEvents): Promise<void> {
  const { tenure, definition, closing, onHandled } = work;
  const { events } = page;
  const fates: Fate[] = events.map(() => undefined);
  const isBlocked = blockedKeys(work);
  const lanes = definition.concurrency === 1 ? [[...events.keys()]] : lanesOf(events, definition.ordering === 'key');
  await tenure.lease.hold(closing, (signal) =>
    inParallel(lanes, definition.concurrency, async (lane) => {
      for (const index of lane) {
        if (!mayStartNext(work) || signal.aborted) return;
        fates[index] = await fateOf(work, events[index]!, isBlocked, signal);
      }
    }),
  );
  const begun = fates.findLastIndex((fate) => fate !== undefined) + 1;
  if (begun === 0) return;
  // An event that a shutdown prevented is recorded like a failure, because later events were already handled.
  const failed = fates.slice(0, begun).flatMap((fate, index) => {
    if (fate === 'handled') return [];
    return [fate ?? parked(events[index]!)];
  });
  await tenure.settle(page.after(begun), { failed });
  onHandled(begun - failed.length);
}

async function fateOf(work: EventWork, event: StoredEvent, isBlocked: BlockedKeys, signal: AbortSignal): Promise<Fate> {
  if (isBlocked.has(event.key)) return parked(event);
  if (!work.budget.spend()) await work.budget.spendInTurn();
  await work.tenure.beginning(event.seq);
  const failed = await handle(work, event, 0, signal);
  if (failed?.state === 'retry') isBlocked.add(event.key);
  return failed ?? 'handled';
}

/** The keys whose events must wait behind a failed event. */
interface BlockedKeys {
  has(key: string | null): boolean;
  add(key: string | null): void;
}

function blockedKeys({ tenure, definition }: EventWork): BlockedKeys {
  const added = new Set<string>();
  return {
    has: (key) => tenure.failures.isBlocked(key) || (key !== null && added.has(key)),
    add: (key) => {
      if (key !== null && definition.ordering === 'key') added.add(key);
    },
  };
}

/** Groups the indexes of a page's events into lanes that can run concurrently: one lane for each ordered key. */
function lanesOf(events: readonly StoredEvent[], isByKey: boolean): readonly (readonly number[])[] {
  const lanes = new Map<unknown, number[]>();
  for (const [index, { key }] of events.entries()) {
    const name = isByKey && key !== null ? key : index;
    const lane = lanes.get(name);
    if (lane) lane.push(index);
    else lanes.set(name, [index]);
  }
  return [...lanes.values()];
}

/** Runs `work` for all items, `limit` at a time. After a rejection it starts no more, and rejects when all have settled. */
export async function inParallel<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  let isOver = false;
  const worker = async (): Promise<void> => {
    try {
      while (next < items.length && !isOver) await work(items[next++]!);
    } catch (error) {
      isOver = true;
      throw error;
    }
  };
  const workers = Array.from({ length: Math.min(limit, items.length) }, worker);
  const failed = (await Promise.allSettled(workers)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}
