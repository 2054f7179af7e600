/**
 * For several consumers of one channel: calls `onMessage` when all of them have been called with a message, and again for
 * each call beyond that, which is one too many.
 */
export function fanIn(consumers: number, onMessage: (payload: unknown) => void): (payload: unknown) => void {
  const calls: number[] = [];
  return (payload) => {
    const index = (payload as { readonly seq: number }).seq % WINDOW;
    const count = (calls[index] ?? 0) + 1;
    calls[index] = count;
    if (count >= consumers) onMessage(payload);
  };
}

/** More messages than a run with several consumers has. */
const WINDOW = 1_000_000;
