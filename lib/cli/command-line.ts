import { createRequire } from 'node:module';
import { nameDistance } from '../option-checks.js';
import { isPgNotifyError, messageOf } from '../pg-notify.errors.js';
import { withoutCredentials } from '../session/connection-failure.js';
import { refuseConnection, UsageError } from './command.js';
import type { Command, CommandContext } from './command.js';
import { doctor } from './doctor.js';
import { events } from './events.js';
import { listen } from './listen.js';
import { notify } from './notify.js';
import type { Terminal } from './terminal.js';
import { trigger } from './trigger.js';

const COMMANDS: readonly Command[] = [doctor, listen, notify, trigger, events];

const USAGE = 'Usage: nest-pg-notify <command> [options]';

const HELP = `PostgreSQL LISTEN/NOTIFY for NestJS, from the command line.

${USAGE}

Commands:
${COMMANDS.map(({ name, summary }) => `  ${name.padEnd(9)}${summary}`).join('\n')}

  nest-pg-notify help <command>     prints the options of a command, with examples
  nest-pg-notify --version          prints the version

Exit codes:
  0   all is well, or ended as asked
  1   a problem was found, or the database cannot be used
  2   wrong usage

Examples:
  DATABASE_URL=postgres://app@localhost/shop nest-pg-notify doctor
  nest-pg-notify listen orders products
  nest-pg-notify notify orders '{"id":1}'
  nest-pg-notify trigger orders --channel order_changes --key id > migrations/orders.up.sql
  nest-pg-notify events status --max-lag 60
`;

/** Runs one command. A failure is printed as one line on standard error. Never rejects. */
export async function runCommandLine(args: readonly string[], context: CommandContext): Promise<number> {
  const { terminal } = context;
  const [name, ...rest] = args;
  const command = COMMANDS.find((known) => known.name === name);
  try {
    const code = command && !wantsHelp(rest) ? await command.run(rest, context) : tell(args, command, terminal);
    await terminal.flush();
    return code;
  } catch (error) {
    const isUsage = error instanceof UsageError || (isPgNotifyError(error) && error.kind === 'channel');
    // A usage error quotes no URL except its own example.
    terminal.note([['red', 'error:'], ` ${isUsage ? messageOf(error) : withoutCredentials(messageOf(error))}`]);
    if (!isUsage) return 1;
    terminal.note([command?.usage ?? USAGE]);
    terminal.note([`More: nest-pg-notify ${command ? `${command.name} ` : ''}--help`]);
    return 2;
  }
}

/** Handles arguments without a command, such as --help. Returns the exit code. */
function tell(args: readonly string[], command: Command | undefined, terminal: Terminal): number {
  const [name, topic] = args;
  if (command) terminal.text(command.help);
  else if (name === '--version' || name === '-v') terminal.text(`${readVersion()}\n`);
  else if (name === 'help' && topic !== undefined && !wantsHelp([topic])) terminal.text(commandOf(topic).help);
  else if (name === 'help' || wantsHelp(args)) terminal.text(HELP);
  else throw unknownCommand(name);
  return 0;
}

function commandOf(name: string): Command {
  const command = COMMANDS.find((known) => known.name === name);
  if (command) return command;
  throw unknownCommand(name);
}

function unknownCommand(name: string | undefined): UsageError {
  if (name === undefined) return new UsageError('Which command?');
  refuseConnection('The command', name);
  const near = COMMANDS.find((known) => nameDistance(known.name, name) <= 2);
  return new UsageError(`There is no command ${JSON.stringify(name)}.${near ? ` Did you mean ${near.name}?` : ''}`);
}

/** An argument behind `--` is not an option. */
function wantsHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return args.slice(0, end === -1 ? undefined : end).some((arg) => arg === '--help' || arg === '-h');
}

/** Resolved by the package's own name, which finds its package.json from the sources and from the compiled files. */
function readVersion(): string {
  const manifest = createRequire(import.meta.url)('nest-pg-notify/package.json') as { version: string };
  return manifest.version;
}
