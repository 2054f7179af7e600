import type { ClientConfig } from 'pg';
import { invalidOption, readOptions, shown } from '../option-checks.js';
import type { ChecksOf, OptionCheck } from '../option-checks.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { checkEnvironment } from './connection-environment.js';
import { withoutCredentials } from './connection-failure.js';
import { isPort, problemOfHost } from './connection-host.js';
import { readConnectionUrl } from './connection-url.js';
import type { ConnectionUrl, RefuseAddress } from './connection-url.js';

/** The checked settings of a connection. All of them mean the same to `pg` and to the user. */
export interface ClientSettings extends ClientConfig {
  /** Whether channel binding is required, which `pg` only prefers. */
  readonly requiresChannelBinding?: boolean;
}

const asGiven: OptionCheck<unknown> = (given) => given;

const textOrNothing: OptionCheck<string | null | undefined> = (given, place) => {
  if (given === undefined || given === null || typeof given === 'string') return given;
  throw invalidOption(place, `must be a string, not ${shown(given)}`);
};

const host: OptionCheck<string | null | undefined> = (given, place) => {
  const text = textOrNothing(given, place);
  const problem = text ? problemOfHost(text) : undefined;
  if (problem !== undefined) throw invalidOption(place, problem);
  return text;
};

const port: OptionCheck<number | null | undefined> = (given, place) => {
  if (given === undefined || given === null) return given;
  if (isPort(given)) return Number(given);
  throw invalidOption(place, `must be a port from 1 to 65535, not ${shown(given)}`);
};

type Password = string | ((...parameters: unknown[]) => unknown) | null | undefined;

/**
 * Refuses a number, which YAML makes of digits, because `pg` would refuse it only when the server asks for the
 * password. The value is never quoted.
 */
const password: OptionCheck<Password> = (given, place) => {
  if (given === undefined || given === null || typeof given === 'string') return given;
  if (typeof given === 'function') return given as Exclude<Password, string | null | undefined>;
  throw invalidOption(place, `must be a string, or a function that returns one, not ${nameOfType(given)}`);
};

/** `pg` takes any other text for true, such as 'false' from an environment variable. */
const ssl: OptionCheck<ClientConfig['ssl'] | string> = (given, place) => {
  const isText = given === 'true' || given === 'no-verify';
  if (given === undefined || typeof given === 'boolean' || isText) return given;
  if (typeof given === 'object' && given !== null) return given;
  throw invalidOption(place, `must be true, false, 'no-verify' or an object of TLS options, not ${shown(given)}`);
};

const CLIENT = {
  connectionString: textOrNothing,
  host,
  port,
  user: textOrNothing,
  password,
  database: textOrNothing,
  ssl,
  sslnegotiation: asGiven,
  enableChannelBinding: asGiven,
  application_name: textOrNothing,
  fallback_application_name: textOrNothing,
  options: textOrNothing,
  client_encoding: textOrNothing,
  statement_timeout: asGiven,
  lock_timeout: asGiven,
  idle_in_transaction_session_timeout: asGiven,
  query_timeout: asGiven,
  keepAlive: asGiven,
  keepAliveInitialDelayMillis: asGiven,
  connectionTimeoutMillis: asGiven,
  stream: asGiven,
  types: asGiven,
  pipeline: asGiven,
} satisfies ChecksOf<ClientConfig>;

/** Settings of `pg` that its types lack. */
const UNTYPED = { binary: asGiven, replication: asGiven, scramMaxIterations: asGiven };

/** Settings of a pool, which are allowed and ignored, so that an application can share its settings. */
const POOL = {
  max: asGiven,
  min: asGiven,
  idleTimeoutMillis: asGiven,
  log: asGiven,
  Promise: asGiven,
  allowExitOnIdle: asGiven,
  maxUses: asGiven,
  maxLifetimeSeconds: asGiven,
  Client: asGiven,
  onConnect: asGiven,
  verify: asGiven,
};

/** Names that other libraries have for the same settings. */
const SYNONYMS: Readonly<Record<string, keyof ClientConfig>> = {
  username: 'user',
  login: 'user',
  hostname: 'host',
  server: 'host',
  hostaddr: 'host',
  db: 'database',
  dbname: 'database',
  pass: 'password',
  passwd: 'password',
  pwd: 'password',
  url: 'connectionString',
  uri: 'connectionString',
  dsn: 'connectionString',
  sslmode: 'ssl',
  tls: 'ssl',
};

/** Settings that a connection string contains as well. */
const IN_URL = ['host', 'port', 'user', 'password', 'database'] as const;

const EMPTY = 'is empty or undefined. Is the environment variable that it comes from set?';
const KINDS = 'must be a connection string, the settings of a pg.Client, or a function that returns them';

/**
 * Reads a connection as a user has given it.
 *
 * @param option The name of its option.
 * @throws PgNotifyError of kind `configuration` with the remedy.
 */
export function readClientSettings(option: string, given: unknown, refuse: RefuseAddress): ClientSettings {
  // Without a connection string `pg` would silently connect to its defaults.
  if (given === undefined || given === '') throw refuse(EMPTY);
  if (typeof given === 'string') {
    const url = readConnectionUrl(given, refuse);
    return settingsOf({ connectionString: url.text }, url);
  }
  if (typeof given !== 'object' || given === null) throw refuse(KINDS);
  refuseObjects(given, refuse);
  const place = { within: option, synonyms: SYNONYMS };
  const read = readOptions('PgNotifyModule', given, { ...CLIENT, ...UNTYPED, ...POOL }, place);
  const url = 'connectionString' in given ? urlOf(read, refuse) : undefined;
  if (!url && 'host' in given && !read.host) throw refuse(EMPTY, 'host');
  const client = Object.keys({ ...CLIENT, ...UNTYPED }).flatMap((name) => {
    const value: unknown = read[name as keyof typeof read];
    return value === undefined ? [] : [[name, value]];
  });
  const config = {
    ...(Object.fromEntries(client) as ClientConfig),
    ...(url && { connectionString: url.text }),
    ...(typeof read.password === 'function' && { password: checkedPassword(read.password, refuse) }),
  };
  return settingsOf(config, url);
}

/** Values that contain settings or return them later, and would otherwise be read as empty settings. */
function refuseObjects(given: object, refuse: RefuseAddress): void {
  if (Array.isArray(given)) throw refuse(KINDS);
  if (given instanceof URL) throw refuse('is a URL object. Give its href');
  if ('then' in given) throw refuse('is a promise. Give a function that returns it: () => promise');
  if ('connect' in given && typeof given.connect === 'function') {
    throw refuse(
      'is a pool or a client. The listener needs a connection of its own: give the settings of one. A pool to send with is the option publisher.pool',
    );
  }
}

/** The URL among the settings. `pg` takes everything that a URL can contain from it, even what this URL leaves out. */
function urlOf(
  read: { readonly connectionString: unknown; readonly ssl: unknown } & Readonly<Record<string, unknown>>,
  refuse: RefuseAddress,
): ConnectionUrl {
  if (!read.connectionString) throw refuse(EMPTY, 'connectionString');
  const url = readConnectionUrl(read.connectionString as string, (problem) => refuse(problem, 'connectionString'));
  const ignored = IN_URL.find((name) => (read[name] ?? '') !== '');
  if (ignored !== undefined) {
    const remedy = 'Write it into the URL, or give all settings one by one';
    throw refuse(`is ignored by pg beside a connectionString. ${remedy}`, ignored);
  }
  if (read.ssl !== undefined && url.tlsParameter !== undefined && read.ssl !== url.isEncrypted) {
    throw refuse(`is ignored by pg beside ${url.tlsParameter} in the connectionString. Leave one of them out`, 'ssl');
  }
  return url;
}

function settingsOf(config: ClientConfig, url: ConnectionUrl | undefined): ClientSettings {
  const hasHost = url ? url.hasHost : Boolean(config.host);
  const hasPort = url ? url.hasPort : Boolean(config.port);
  const hasTls = config.ssl !== undefined || url?.tlsParameter !== undefined;
  const environment = checkEnvironment({ hasHost, hasPort, hasTls });
  const channelBinding = url?.channelBinding ?? environment.channelBinding;
  if (channelBinding === undefined) return config;
  return {
    ...config,
    enableChannelBinding: channelBinding !== 'disable',
    requiresChannelBinding: channelBinding === 'require',
  };
}

/** Wraps a user's password function, whose failures `pg` would report as failures of the connection. */
function checkedPassword(ask: (...parameters: unknown[]) => unknown, refuse: RefuseAddress): () => Promise<string> {
  return async (...parameters: unknown[]) => {
    let answer: unknown;
    try {
      answer = await ask(...parameters);
    } catch (error) {
      if (error instanceof PgNotifyError) throw error;
      // The error is not kept as the cause, because that of a secrets client may contain secrets.
      const problem = `is a function that failed: ${withoutCredentials(messageOf(error))}`;
      throw new PgNotifyError('connection', refuse(problem, 'password').message, { permanent: false });
    }
    if (typeof answer === 'string') return answer;
    throw refuse(`is a function that returned ${nameOfType(answer)}. It must return a string`, 'password');
  };
}

function nameOfType(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
