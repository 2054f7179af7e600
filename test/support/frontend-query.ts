import { backend } from './backend-messages.js';
import type { FrontendMessage } from './frontend-parser.js';

/** Something that a client asks: a simple `Query`, or an extended batch up to its `Sync`. */
export interface FrontendQuery {
  readonly protocol: 'simple' | 'extended';
  /** The SQL. */
  readonly text: string;
  /** The values bound in an extended batch, as text. */
  readonly values: readonly (string | null)[];
  /** The types of the messages that ask it: `Q`, or e.g. `PBDES`. */
  readonly messages: string;
}

/** Reads a simple query. */
export function readSimpleQuery({ type, body }: FrontendMessage): FrontendQuery {
  return { protocol: 'simple', text: readString(body, 0), values: [], messages: type };
}

/** Reads an extended batch; `statements` remembers the SQL of what it prepares for later batches. */
export function readBatch(batch: readonly FrontendMessage[], statements: Map<string, string>): FrontendQuery {
  const texts = new Set<string>();
  const values: (string | null)[] = [];
  for (const { type, body } of batch) {
    const [first, second] = [readString(body, 0), readString(body, body.indexOf(0) + 1)];
    if (type === 'P') texts.add(second);
    if (type === 'P') statements.set(first, second);
    if (type === 'B') texts.add(statements.get(second) ?? '');
    if (type === 'B') values.push(...readBoundValues(body));
  }
  const messages = batch.map(({ type }) => type).join('');
  return { protocol: 'extended', text: [...texts].join('; '), values, messages };
}

/** Frames results as the query's protocol needs them, with `ReadyForQuery` at the end. */
export function frameReply(query: FrontendQuery, results: readonly Buffer[]): Buffer[] {
  const types = results.map((result) => String.fromCharCode(result[0] ?? 0));
  const has = (type: string) => query.messages.includes(type);
  const isRefused = types[0] === 'E';
  return [
    ...(has('P') && !isRefused ? [backend.parseComplete()] : []),
    ...(has('B') && !isRefused ? [backend.bindComplete()] : []),
    ...(has('D') && !isRefused && !types.includes('T') ? [backend.noData()] : []),
    ...results,
    ...(has('C') && !isRefused ? [backend.closeComplete()] : []),
    backend.readyForQuery(),
  ];
}

/** The results of a server that has no rows: `CommandComplete` for each statement, after an empty result for a SELECT. */
export function emptyResults(text: string): Buffer[] {
  const commands = splitStatements(text).map((statement) => /^\w*/.exec(statement)![0].toUpperCase());
  if (commands.length === 0) return [backend.emptyQueryResponse()];
  return commands.flatMap((command) =>
    command === 'SELECT'
      ? [backend.rowDescription([]), backend.commandComplete('SELECT 0')]
      : [backend.commandComplete(command)],
  );
}

/** Cuts SQL at its semicolons, but for those in quotes. */
function splitStatements(text: string): string[] {
  const statements = text.match(/(?:"[^"]*"|'[^']*'|[^;])+/g) ?? [];
  return statements.map((statement) => statement.trim()).filter((statement) => statement !== '');
}

/** Bind names its portal and its statement, then come format codes, then the values. */
function readBoundValues(body: Buffer): (string | null)[] {
  let at = body.indexOf(0, body.indexOf(0) + 1) + 1;
  at += 2 + 2 * body.readInt16BE(at);
  const count = body.readInt16BE(at);
  at += 2;
  return Array.from({ length: count }, () => {
    const length = body.readInt32BE(at);
    at += 4 + Math.max(length, 0);
    return length < 0 ? null : body.toString('utf8', at - length, at);
  });
}

function readString(body: Buffer, start: number): string {
  const end = body.indexOf(0, start);
  return body.toString('utf8', start, end < 0 ? body.length : end);
}
