import { nameDistance } from '../option-checks.js';
import { problemOfHost, SEVERAL_HOSTS } from './connection-host.js';
import { CHECKED_PARAMETERS, KNOWN_PARAMETERS } from './libpq-parameters.js';

/** Makes the error of an address. @param problem The text after its name; it quotes no secret. */
export type RefuseAddress = (problem: string, setting?: string) => Error;

/** The contents of a URL, or of the folder of a Unix socket. */
export interface ConnectionUrl {
  /** For `pg`. */
  readonly text: string;
  readonly hasHost: boolean;
  readonly hasPort: boolean;
  /** The parameter that decides on TLS, if there is one. */
  readonly tlsParameter: string | undefined;
  /** Whether it requires TLS according to `tlsParameter`. */
  readonly isEncrypted: boolean;
  readonly channelBinding: string | undefined;
}

const SCHEME =
  'must be the folder of a Unix socket or begin with postgres:// or postgresql://, as postgres://user:password@host:5432/database';

const ENCODE =
  'is not a URL that can be read. In a user or a password, write % # / ? @ and : as encodeURIComponent() does: %25 %23 %2F %3F %40 %3A';

/**
 * Reads a connection string as `pg` does, and refuses one that `pg` would misread.
 *
 * @throws The result of `refuse`.
 */
export function readConnectionUrl(text: string, refuse: RefuseAddress): ConnectionUrl {
  if (/^(socket:|\/)/i.test(text)) return socketFolder(text);
  const [, authority, rest] = /^postgres(?:ql)?:\/\/([^/?#]*)([^]*)$/i.exec(text) ?? [];
  if (authority === undefined || rest === undefined) throw refuse(SCHEME);
  if (rest.includes('#') || endsInsideCredentials(authority, rest)) throw refuse(ENCODE);
  if (authority.slice(authority.lastIndexOf('@') + 1).includes(',')) throw refuse(SEVERAL_HOSTS);
  const url = parse(text);
  if (!url) throw refuse(ENCODE);
  const parameters = Object.fromEntries(url.searchParams);
  for (const [name, value] of Object.entries(parameters)) {
    const problem = problemOfParameter(name, value);
    if (problem !== undefined) throw refuse(problem);
  }
  const { host = '', port = '', sslmode, ssl, sslnegotiation, uselibpqcompat } = parameters;
  const hostProblem = problemOfHost(host);
  if (hostProblem !== undefined) throw refuse(hostProblem);
  const tlsParameter = ['sslmode', 'ssl', 'sslcert', 'sslkey', 'sslrootcert'].find((name) => parameters[name]);
  return {
    text: uselibpqcompat === 'true' ? text : pinned(text),
    hasHost: host !== '' || !/(^|@)(:\d*)?$/.test(authority),
    hasPort: port !== '' || url.port !== '',
    tlsParameter: tlsParameter ?? (sslnegotiation === 'direct' ? 'sslnegotiation' : undefined),
    isEncrypted: (sslmode ?? '') === '' ? ssl !== '0' : sslmode !== 'disable',
    channelBinding: parameters['channel_binding'],
  };
}

/**
 * Releases of `pg` before 9 treat `prefer`, `require` and `verify-ca` as `verify-full`, with a warning; later ones will
 * not verify. Written explicitly as `verify-full`, it stays as strict, and there is no warning.
 */
const STRICT_MODES = /([?&]sslmode=)(prefer|require|verify-ca)(?=&|$)/g;

function pinned(text: string): string {
  return text.replace(STRICT_MODES, '$1verify-full');
}

/** The `sslmode` of a URL, if it is stricter here than its name. */
export function strictSslMode(text: string): string | undefined {
  return text.includes('uselibpqcompat=true') ? undefined : text.matchAll(STRICT_MODES).next().value?.[2];
}

/** Whether the user or the password contains a / or ?, which ends their part of the URL before the @. */
function endsInsideCredentials(authority: string, rest: string): boolean {
  if (authority.includes('@') || !authority.includes(':')) return false;
  const [path = '', query = ''] = rest.split('?');
  return path.includes('@') || /^[^=&]*@/.test(query);
}

/** Undefined for a URL that `pg` cannot parse either. It accepts a URL without a host, and a stray %. */
function parse(text: string): URL | undefined {
  const withHost = text.replace('@/', '@localhost/');
  const url = URL.canParse(text) ? new URL(text) : URL.canParse(withHost) ? new URL(withHost) : undefined;
  if (!url || /%(?![a-f0-9]{2})/i.test(text)) return url;
  try {
    decodeURIComponent(url.username + url.password);
    return url;
  } catch {
    return undefined;
  }
}

function problemOfParameter(name: string, value: string): string | undefined {
  if (Object.hasOwn(CHECKED_PARAMETERS, name)) return CHECKED_PARAMETERS[name]?.(value);
  if (KNOWN_PARAMETERS.includes(name)) return undefined;
  const near = KNOWN_PARAMETERS.find((known) => nameDistance(name, known) <= 1);
  return near && `has ${name}, which pg does not know. Did you mean ${near}?`;
}

function socketFolder(text: string): ConnectionUrl {
  return {
    text,
    hasHost: true,
    hasPort: false,
    tlsParameter: undefined,
    isEncrypted: false,
    channelBinding: undefined,
  };
}
