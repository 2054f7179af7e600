/** The child's end of `ChildProcess`: `child-main.ts <url of a module>` calls the module's functions when it is told to. */
import type { Answer, Call } from './child-process.js';

type Functions = Record<string, (argument: unknown) => unknown>;

// The module is a `.ts` file whose URL says `.js`, as imports do.
const functions = (await import((process.argv[2] ?? '').replace(/\.js$/, '.ts'))) as Functions;

async function answer({ id, name, argument }: Call): Promise<void> {
  try {
    send({ id, result: await functions[name]?.(argument) });
  } catch (error) {
    send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

function send(message: Answer): void {
  process.send?.(message);
}

process.on('message', (call: Call) => void answer(call));
process.on('disconnect', () => process.exit());
send({ id: 0 });
