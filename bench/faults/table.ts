import type { Facts } from './facts.js';
import type { Fault } from './faults.js';
import type { Peer } from './peers.js';

export interface Versions {
  readonly node: string;
  readonly postgresql: string;
  readonly pg: string;
  readonly nest: string;
  readonly peers: Readonly<Record<string, string>>;
}

/** The table, faults by peers, in Markdown, with how each peer was used. */
export function markdown(
  results: readonly Facts[],
  faults: readonly Fault[],
  peers: readonly Peer[],
  versions: Versions,
): string {
  const version = ({ name }: Peer): string => `${name} ${versions.peers[name] ?? ''}`.trim();
  const cell = (fault: Fault, peer: Peer): string => {
    const facts = results.find((each) => each.fault === fault.id && each.peer === peer.name);
    return facts ? cellOf(facts) : 'not run';
  };
  const row = (cells: readonly string[]): string =>
    `| ${cells.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;
  return [
    row(['fault', ...peers.map(version)]),
    row(['---', ...peers.map(() => '---')]),
    ...faults.map((fault) => row([fault.title, ...peers.map((peer) => cell(fault, peer))])),
    '',
    'Seconds count from the end of the fault, where nothing else is said. “Lost” are notifications that were committed',
    'after the fault began and never arrived; those sent while a peer takes its time count too. “Reports the gap”: code of',
    'the application is called when the peer listens again (`gaps()`, `connected`, `onlisten`).',
    '',
    `PostgreSQL ${versions.postgresql}, Node ${versions.node}, pg ${versions.pg}, Nest ${versions.nest}. How each was used:`,
    '',
    ...peers.map((peer) => `- ${version(peer)}: ${peer.usage}.`),
    '',
  ].join('\n');
}

/** What happened, in a few words. */
export function cellOf(facts: Facts): string {
  const { extra, crash, start, again, stop, fault } = facts;
  if (extra.harnessFailed !== undefined) return `no result: ${extra.harnessFailed}`;
  const parts: string[] = [];
  if (extra.tableDropped) parts.push('**SQL injected: the table is gone**');
  if (crash) parts.push(`**process crashed**: ${short(crash.text)}`);
  else if (start?.outcome === 'refused') parts.push(...refusal(facts));
  else if (start?.outcome === 'no answer') parts.push('start never answers');
  else if (again) parts.push(...recovery(facts));
  else if (extra.arrived !== undefined) parts.push(extra.arrived ? 'delivers' : '**silent: not delivered**');
  if (extra.handlerGotText !== undefined) parts.push(aboutText(facts));
  if (fault === 'throwing-handler' && !crash) parts.push(aboutSecond(facts));
  if (facts.duplicates > 0) parts.push(`**${facts.duplicates} delivered twice**`);
  if (facts.passwordWritten === true) parts.push('**writes the password**');
  if ((facts.backends ?? 0) > 2) parts.push(`${facts.backends} backends left`);
  if (fault === 'close-in-black-hole' && stop) parts.push(closing(stop));
  else if (stop?.exitedAfter === null) parts.push('after `close()` the process does not end within 15 s');
  return parts.join('; ') || 'nothing seen';
}

function refusal({ start, again }: Facts): string[] {
  const parts = [`refuses to start: “${short(start?.text ?? '')}”`];
  return again?.delivered ? [...parts, `keeps trying, and delivers after ${again.afterHeal} s`] : parts;
}

const OF_A_HANDLER = ['throwing-handler', 'invalid-json'];
const SILENT_LOSSES = ['half-open', 'server-side-dead', 'server-unheard', 'unlisten'];

function recovery(facts: Facts): string[] {
  const { again, lost, told, fault } = facts;
  if (!again?.delivered) return [withoutRecovery(facts)];
  if (lost === 0 && OF_A_HANDLER.includes(fault)) return ['later ones arrive'];
  const parts = [fault.startsWith('pgbouncer') ? 'delivers' : `delivers again after ${again.afterHeal} s`];
  if (SILENT_LOSSES.includes(fault)) parts.push(`noticed after ${noticedAfter(facts)} s`);
  if (lost === 0) return [...parts, 'nothing lost'];
  const words = [told.gap && 'the gap', told.error && 'an error'].filter(Boolean).join(' and ');
  if (words) return [...parts, `${lost} lost, reports ${words}`];
  return [...parts, `**${lost} lost, ${told.log || told.down ? 'said in the log only' : 'not a word'}**`];
}

function withoutRecovery({ fault, watchedFor = 0, told, signals, healedAt = 0 }: Facts): string {
  const never = `never${fault.startsWith('pgbouncer') ? '' : ' again'} (${watchedFor} s)`;
  const error = signals.findLast(({ kind }) => kind === 'error');
  if (error) return `**${never}**, reports an error: “${short(error.text)}”`;
  const last = signals.at(-1);
  if (!last || (!told.log && !told.down)) return `**silent: ${never}, no error**`;
  return `**${never}**, last sign ${Math.round(last.at - healedAt)} s after the end of the fault: “${short(last.text)}”`;
}

function noticedAfter({ signals, brokenAt = 0 }: Facts): number {
  const first = signals.find(({ at }) => at > brokenAt);
  return Math.round((first?.at ?? brokenAt) - brokenAt);
}

function aboutText({ extra, told }: Facts): string {
  if (extra.handlerGotText) return 'the handler gets the text';
  if (told.error) return 'reports an error';
  return told.log ? 'a log line says so' : '**not a word**';
}

function aboutSecond({ received, lostToSecond, told }: Facts): string {
  const reported = told.error || told.log ? 'the throw is reported' : '**the throw is swallowed**';
  if (!received.some(({ handler }) => handler === 'second'))
    return `${reported}; a second handler of a channel is never called`;
  return `${reported}; the other handler misses ${lostToSecond}`;
}

function closing({ resolvedAfter, exitedAfter, failure }: NonNullable<Facts['stop']>): string {
  const resolved =
    resolvedAfter === null
      ? '**never resolves (15 s)**'
      : `${failure ? 'rejects' : 'resolves'} after ${resolvedAfter} s`;
  const exited = exitedAfter === null ? '**the process does not end (15 s)**' : `process ends after ${exitedAfter} s`;
  return `${resolved}, ${exited}`;
}

function short(text: string): string {
  const line = text
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/c{20,}/g, 'ccc…')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'the server');
  if (line.length <= 120) return line;
  const start = line.slice(0, 117);
  const sentence = start.lastIndexOf('. ');
  return sentence > 60 ? `${start.slice(0, sentence + 1)} …` : `${start}…`;
}
