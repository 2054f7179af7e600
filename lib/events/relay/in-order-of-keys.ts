import { withEitherSignal } from '../../time/abort.js';
import { InFlight } from './in-flight.js';

interface Keyed {
  readonly key?: string | undefined;
}

/**
 * Sends messages: those of one key one after the other, as the order of a key must survive the failure of one of them, and
 * those of different keys side by side. After a failure, and after the signal is aborted, nothing more is sent.
 *
 * @param inFlight Limits how many are under way at once.
 * @throws The first failure, or the signal's reason, when all that was under way has ended.
 */
export async function sendInOrderOfKeys<Message extends Keyed>(
  messages: readonly Message[],
  send: (message: Message) => Promise<unknown>,
  signal: AbortSignal,
  inFlight = new InFlight(() => Infinity),
): Promise<void> {
  const lanes = lanesOf(messages);
  const failed = new AbortController();
  await withEitherSignal([signal, failed.signal], async (over) => {
    const work = async (): Promise<void> => {
      for (let lane = lanes.next(); !lane.done; lane = lanes.next()) {
        for (const message of lane.value) await inFlight.send(() => send(message), over);
      }
    };
    const workers = Array.from({ length: Math.min(inFlight.limit(), messages.length) }, work);
    await Promise.all(workers.map((worker) => worker.catch((error: unknown) => failed.abort(error))));
    over.throwIfAborted();
  });
}

/** The messages of each key. One without a key is alone. */
function lanesOf<Message extends Keyed>(messages: readonly Message[]): IterableIterator<readonly Message[]> {
  const lanes = new Map<string | Message, Message[]>();
  for (const message of messages) {
    const lane = lanes.get(message.key ?? message);
    if (lane) lane.push(message);
    else lanes.set(message.key ?? message, [message]);
  }
  return lanes.values();
}
