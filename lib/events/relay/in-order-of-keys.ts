interface Keyed {
  readonly key?: string | undefined;
}

/**
 * Sends messages: those of one key one after the other, as the order of a key must survive the failure of one of them, and
 * those of different keys side by side. After a failure nothing more is sent.
 *
 * @param limit How many may be under way at once.
 * @throws The first failure, when all that was under way has ended.
 */
export async function sendInOrderOfKeys<Message extends Keyed>(
  messages: readonly Message[],
  send: (message: Message) => Promise<unknown>,
  limit = Infinity,
): Promise<void> {
  const lanes = lanesOf(messages);
  const failures: unknown[] = [];
  const work = async (): Promise<void> => {
    for (let lane = lanes.next(); !lane.done; lane = lanes.next()) {
      for (const message of lane.value) {
        if (failures.length > 0) return;
        await send(message).catch((error: unknown) => failures.push(error));
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, messages.length) }, work));
  if (failures.length > 0) throw failures[0];
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
