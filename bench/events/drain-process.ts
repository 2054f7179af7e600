/** A child process that works off a backlog of numbered events, and measures what that takes. */
import { DRAINS, type Drain, type DrainName } from './drains.js';
import { NumberedMessages, type Drained } from './numbered.js';

export interface Draining {
  readonly drain: DrainName;
  readonly url: string;
  readonly count: number;
}

/** Handles the events from 0 up to the count. */
export async function drain({ drain: name, url, count }: Draining): Promise<Drained> {
  const { load, isOrdered = true }: Drain = DRAINS[name];
  const start = await load();
  const messages = new NumberedMessages(count, isOrdered);
  await start(url, messages, count);
  return messages.finished;
}
