import { inspect } from 'node:util';
import { PgNotifyError } from './pg-notify.errors.js';

/** The place of an option, for messages. */
export interface OptionPlace {
  /** The owner of the option: `PgNotifyModule`, a decorator on its method, or a call. */
  readonly owner: string;
  /** The option with its groups: `startup.timeout`. */
  readonly path: string;
}

/** Returns the checked value of one option, or throws what {@link invalidOption} returns. */
export interface OptionCheck<Value> {
  (given: unknown, place: OptionPlace): Value;
  /** The checks of the options inside it, if it is a group. */
  readonly inside?: OptionChecks;
}

/** One check for each option of a group. */
export type OptionChecks = Readonly<Record<string, OptionCheck<unknown>>>;

/** The options of a group after their checks. */
export type Checked<Checks extends OptionChecks> = {
  readonly [Option in keyof Checks]: ReturnType<Checks[Option]>;
};

/**
 * For `{ … } satisfies ChecksOf<Options>`: the compiler refuses an option without a check, and a check without an
 * option. So the allowed names are those of the interface.
 */
export type ChecksOf<Options> = { readonly [Option in keyof Required<Options>]: OptionCheck<unknown> };

/** Further information for {@link readOptions}. */
export interface OptionContext {
  /** The option that contains them, if another check has read the options around it. */
  readonly within?: string;
  /** The names of options in other libraries. */
  readonly synonyms?: Readonly<Record<string, string>>;
}

/**
 * Checks options as a user wrote them.
 *
 * @param owner Their owner, for messages: `PgNotifyModule`, `notify()`.
 * @throws PgNotifyError of kind `configuration` that names the option and its valid values, or for an unknown option
 * the nearest known one.
 */
export function readOptions<Checks extends OptionChecks>(
  owner: string,
  options: unknown,
  checks: Checks,
  { within = '', synonyms = {} }: OptionContext = {},
): Checked<Checks> {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw refused(owner, `takes its options as an object, not ${shown(options)}.`);
  }
  const around = within.split('.').filter(Boolean);
  const all = around.reduceRight<OptionChecks>((inside, name) => ({ [name]: group(inside) }), checks);
  const prefix = around.map((name) => `${name}.`).join('');
  refuseUnknown({ owner, all, synonyms }, options, prefix);
  return readGroup(owner, options, checks, prefix);
}

/** The context of an unknown option. */
interface KnownOptions {
  readonly owner: string;
  readonly all: OptionChecks;
  readonly synonyms: Readonly<Record<string, string>>;
}

function readGroup<Checks extends OptionChecks>(
  owner: string,
  options: object,
  checks: Checks,
  prefix: string,
): Checked<Checks> {
  const values = Object.entries(checks).map(([name, check]) => {
    const given = (options as Readonly<Record<string, unknown>>)[name];
    return [name, check(given, { owner, path: prefix + name })];
  });
  return Object.fromEntries(values) as Checked<Checks>;
}

/** The error of an option with an invalid value. @param problem The text after its name: `must be …`. */
export function invalidOption({ owner, path }: OptionPlace, problem: string): PgNotifyError {
  return new PgNotifyError('configuration', `The option ${path} of ${owner} ${problem.replace(/[^.?]$/, '$&.')}`);
}

/** A value for a message. A text that may be an address is hidden, because it may contain a password. */
export function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'string' && (/:\/\/|password/i.test(value) || value.length > 100)) return 'this text';
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`;
  return typeof value === 'object' && value !== null ? 'an object' : inspect(value);
}

/** The value if it was given, otherwise the default. */
export function orElse<Value, const Default>(
  otherwise: Default,
  check: OptionCheck<Value>,
): OptionCheck<Value | Default> {
  return withInside(check, (given, place) => (given === undefined ? otherwise : check(given, place)));
}

/** An optional option without a default. */
export function optional<Value>(check: OptionCheck<Value>): OptionCheck<Value | undefined> {
  return orElse(undefined, check);
}

/** Node's timers count in 32 bits, so a longer delay would fire at once. */
const MAX_MILLISECONDS = 2 ** 31 - 1;

export function milliseconds({ least = 0 } = {}): OptionCheck<number> {
  return (given, place) => {
    if (typeof given === 'number' && given >= least && given <= MAX_MILLISECONDS) return given;
    const problem = `must be a number of milliseconds from ${least} to ${MAX_MILLISECONDS}, not ${shown(given)}`;
    throw invalidOption(place, problem);
  };
}

/** A number of things: at least one. */
export function count({ most = Number.MAX_SAFE_INTEGER } = {}): OptionCheck<number> {
  const range = most === Number.MAX_SAFE_INTEGER ? 'of at least 1' : `from 1 to ${most}`;
  return (given, place) => {
    if (Number.isSafeInteger(given) && (given as number) >= 1 && (given as number) <= most) return given as number;
    throw invalidOption(place, `must be an integer ${range}, not ${shown(given)}`);
  };
}

/** The text 'false', from an environment variable, would count as true. */
export const flag: OptionCheck<boolean> = (given, place) => {
  if (typeof given === 'boolean') return given;
  throw invalidOption(place, `must be true or false, not ${shown(given)}`);
};

export const nonEmptyText: OptionCheck<string> = (given, place) => {
  if (typeof given === 'string' && given !== '') return given;
  throw invalidOption(place, `must be a non-empty string, not ${shown(given)}`);
};

export function oneOf<const Choice extends string>(choices: readonly Choice[]): OptionCheck<Choice> {
  return (given, place) => {
    if (choices.includes(given as Choice)) return given as Choice;
    throw invalidOption(place, `must be one of ${quoted(choices)}, not ${shown(given)}`);
  };
}

/** A list of some of the choices, in any order. */
export function someOf<const Choice extends string>(choices: readonly Choice[]): OptionCheck<readonly Choice[]> {
  return (given, place) => {
    const isList = Array.isArray(given) && given.length > 0;
    if (isList && given.every((item) => choices.includes(item as Choice))) return given as readonly Choice[];
    throw invalidOption(place, `must be a list of some of ${quoted(choices)}, not ${shown(given)}`);
  };
}

/** Options inside an option. If it is left out, all of them are. */
export function group<Checks extends OptionChecks>(checks: Checks): OptionCheck<Checked<Checks>> {
  const check: OptionCheck<Checked<Checks>> = (given = {}, { owner, path }) => {
    if (typeof given === 'object' && given !== null && !Array.isArray(given))
      return readGroup(owner, given, checks, `${path}.`);
    throw invalidOption({ owner, path }, `must be an object, not ${shown(given)}`);
  };
  return Object.assign(check, { inside: checks });
}

/**
 * Options inside an option that can be switched off. The text 'false', from an environment variable, would leave it on.
 */
export function groupOrFalse<Checks extends OptionChecks>(checks: Checks): OptionCheck<false | Checked<Checks>> {
  const options = group(checks);
  return withInside(options, (given, place) => {
    if (given === false) return false;
    if (given === undefined || (typeof given === 'object' && given !== null)) return options(given, place);
    throw invalidOption(place, `must be false or an object, not ${shown(given)}`);
  });
}

/** An option that is checked elsewhere, because its check needs more than its value. */
export const checkedElsewhere: OptionCheck<undefined> = () => undefined;

function withInside<Value>(from: OptionCheck<unknown>, check: OptionCheck<Value>): OptionCheck<Value> {
  return from.inside ? Object.assign(check, { inside: from.inside }) : check;
}

/**
 * Checks the names at all levels before any value. Otherwise the default of a misspelt option could be refused first.
 */
function refuseUnknown(known: KnownOptions, options: object, prefix: string): void {
  const checks = checksAt(known.all, prefix);
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (!check) throw unknownOption(known, name, prefix);
    if (check.inside && typeof value === 'object' && value !== null) {
      refuseUnknown(known, value, `${prefix}${name}.`);
    }
  }
}

function unknownOption({ owner, all, synonyms }: KnownOptions, name: string, prefix: string): PgNotifyError {
  const plain = name.toLowerCase();
  const synonym = Object.hasOwn(synonyms, plain) ? synonyms[plain] : undefined;
  const near = synonym === undefined ? nearestOption(name, pathsOf(all), prefix) : prefix + synonym;
  const names = Object.keys(checksAt(all, prefix));
  const own = prefix === '' ? 'Its' : 'The';
  const of = prefix === '' ? '' : ` of ${prefix.slice(0, -1)}`;
  const list = names.length === 1 ? `only option${of} is ${names[0]}` : `options${of} are ${listed(names)}`;
  return refused(owner, `has no option ${prefix}${name}. ${near ? `Did you mean ${near}?` : `${own} ${list}.`}`);
}

/** The checks of the group with this path, which ends with a dot; of all options for an empty path. */
function checksAt(all: OptionChecks, prefix: string): OptionChecks {
  return prefix
    .split('.')
    .slice(0, -1)
    .reduce((checks, name) => checks[name]?.inside ?? {}, all);
}

/** All options, including those inside groups. */
function pathsOf(checks: OptionChecks, prefix = ''): string[] {
  return Object.entries(checks).flatMap(([name, { inside }]) => [
    prefix + name,
    ...(inside ? pathsOf(inside, `${prefix}${name}.`) : []),
  ]);
}

/** The option with the nearest name. The same group takes precedence over others. */
function nearestOption(name: string, paths: readonly string[], prefix: string): string | undefined {
  const ranked = paths.map((path) => {
    const isInGroup = path.startsWith(prefix) && !path.slice(prefix.length).includes('.');
    return { path, distance: nameDistance(name, path.slice(path.lastIndexOf('.') + 1)), isInGroup };
  });
  const near = ranked
    .filter(({ distance }) => distance <= Math.max(1, Math.floor(name.length / 3)))
    .toSorted((one, other) => one.distance - other.distance || Number(other.isInGroup) - Number(one.isInGroup));
  return near[0]?.path;
}

/** The distance between two names; 0 if they differ only in case, or in how their words are joined. */
export function nameDistance(one: string, other: string): number {
  const plain = (name: string): string => name.toLowerCase().replaceAll(/[_-]/g, '');
  return editDistance(plain(one), plain(other));
}

/** The number of letters to add, remove, replace or swap with their neighbour: optimal string alignment. */
function editDistance(one: string, other: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const cost = one[i - 1] === other[j - 1] ? 0 : 1;
      const isSwap = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      const swapped = isSwap ? beforeLast[j - 2]! + 1 : Infinity;
      row.push(Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + cost, swapped));
    }
    [beforeLast, last] = [last, row];
  }
  return last[other.length]!;
}

function refused(owner: string, what: string): PgNotifyError {
  const sentence = `${owner} ${what}`.replace(/^(the|a) /, (article) => article[0]!.toUpperCase() + article.slice(1));
  return new PgNotifyError('configuration', sentence);
}

function quoted(choices: readonly string[]): string {
  return choices.map((choice) => `'${choice}'`).join(', ');
}

/** Several names for a message: `a, b and c`. */
export function listed(names: readonly string[], conjunction: 'and' | 'or' = 'and'): string {
  return `${names.slice(0, -1).join(', ')} ${conjunction} ${names.at(-1)}`;
}
