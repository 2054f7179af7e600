/** The process of one peer in one trial: `subject.ts <peer>`. It may crash or hang; the harness looks on from outside. */
import type { HandlerName, Listening } from './adapters/adapter.js';
import type { Command, Report } from './messages.js';
import { findPeer } from './peers.js';

let listening: Listening | undefined;

function report(message: Report): void {
  if (process.connected) process.send?.(message);
}

function handle(handler: HandlerName, payload: unknown): void {
  report({ is: 'notification', handler, payload });
  if (handler === 'first' && isPoison(payload)) throw new Error('thrown by the handler');
}

function isPoison(payload: unknown): boolean {
  return typeof payload === 'object' && payload !== null && 'poison' in payload;
}

async function start(command: Command & { readonly do: 'start' }): Promise<void> {
  const { url, channel, others, throughPooler } = command;
  try {
    const adapter = await findPeer(process.argv[2] ?? '').load();
    const signal = (kind: 'gap' | 'down' | 'error' | 'log', text: string): void => report({ is: 'signal', kind, text });
    const otherChannels = Array.from({ length: others }, (_, index) => `other_${index}`);
    listening = await adapter({ url, channel, otherChannels, throughPooler, handle, signal });
    report({ is: 'started' });
  } catch (error) {
    report({ is: 'refused', text: textOf(error) });
  }
}

async function stop(): Promise<void> {
  process.channel?.unref(); // From here on only the peer keeps this process alive.
  try {
    await listening?.stop();
    report({ is: 'stopped' });
  } catch (error) {
    report({ is: 'stopped', failure: textOf(error) });
  }
}

function textOf(error: unknown): string {
  return error instanceof Error
    ? error.message || ((error as NodeJS.ErrnoException).code ?? error.name)
    : String(error);
}

process.on('uncaughtExceptionMonitor', (error, origin) => report({ is: 'fatal', origin, text: textOf(error) }));
process.on('message', (command: Command) => void (command.do === 'start' ? start(command) : stop()));
report({ is: 'running' });
