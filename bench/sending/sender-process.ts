/** A child process that sends notifications in loops, and counts how many are committed. */
import { SENDERS, type SenderName } from './loaders.js';
import type { Sender } from './sender.js';

let sender: Sender | undefined;

/** Connects. */
export async function open({ url, name }: { url: string; name: SenderName }): Promise<void> {
  const connect = await SENDERS[name].load();
  sender = await connect(url);
}

export interface Load {
  readonly channel: string;
  /** How many loops send at the same time. Each awaits each call. */
  readonly callers: number;
  /** What a call sends: one payload, the same as all others, or many. */
  readonly what: 'one' | 'same' | 'many';
  readonly milliseconds: number;
}

/** How many notifications one call of `many` sends. */
const MANY = 20_000;

/** How many notifications a second were sent, and committed. */
export async function rate({ channel, callers, what, milliseconds }: Load): Promise<number> {
  if (sender === undefined) throw new Error('Call open() first.');
  const { send, sendMany } = sender;
  const begun = performance.now();
  const end = begun + milliseconds;
  let sent = 0;
  const loop = async (caller: number): Promise<void> => {
    for (let call = 0; performance.now() < end; call += 1) {
      const text = what === 'same' ? 'the same' : `${caller}-${call}`;
      if (what === 'many')
        await sendMany(
          channel,
          Array.from({ length: MANY }, (_, index) => `${text}-${index}`),
        );
      else await send(channel, text);
      sent += what === 'many' ? MANY : 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => loop(caller)));
  return sent / ((performance.now() - begun) / 1_000);
}
