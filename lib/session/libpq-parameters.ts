/** Returns the problem with a value and the remedy; undefined for a value that `pg` or this module honours. */
type ParameterCheck = (value: string) => string | undefined;

const SSL_MODES = ['disable', 'no-verify', 'prefer', 'require', 'verify-ca', 'verify-full'];
const CHANNEL_BINDING = ['disable', 'prefer', 'require'];

/** A registration listens to a primary only, so with one host it fulfils what these require. */
const PRIMARY = ['any', 'read-write', 'primary'];

/** The name of a file. A private key in its place would be quoted by Node as a file that does not exist. */
function fileName(name: string): ParameterCheck {
  return (value) =>
    value.includes('-----BEGIN') ? `has ${name}, which must be the name of a file, not what it holds` : undefined;
}

const unread =
  (name: string, remedy: string): ParameterCheck =>
  () =>
    `has ${name}, which pg does not read. ${remedy}`;

const oneByOne = (name: string, setting: string): ParameterCheck =>
  unread(name, `Give the settings one by one, with ${setting}`);

export const checkSslMode: ParameterCheck = (value) =>
  SSL_MODES.includes(value)
    ? undefined
    : `has sslmode=${value}, which pg does not know. It takes disable, no-verify, prefer, require, verify-ca and verify-full`;

export const checkChannelBinding: ParameterCheck = (value) =>
  CHANNEL_BINDING.includes(value) ? undefined : `has channel_binding=${value}. It takes disable, prefer and require`;

/**
 * The parameters of a URL that `pg` does not treat as libpq does. Parameters that decide where a connection goes, and
 * how it is protected, must not be ignored silently.
 *
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
 */
export const CHECKED_PARAMETERS: Readonly<Record<string, ParameterCheck>> = {
  target_session_attrs: (value) =>
    PRIMARY.includes(value)
      ? undefined
      : `asks for target_session_attrs=${value}, but LISTEN and NOTIFY work on a primary only. Leave it out`,
  hostaddr: unread(
    'hostaddr',
    'Write the address as the host, and the name that the certificate is for as ssl.servername',
  ),
  service: unread('service', 'Write host, port, user, password and database out'),
  servicefile: unread('servicefile', 'Write host, port, user, password and database out'),
  passfile: unread('passfile', 'Name the file in the variable PGPASSFILE'),
  dbname: unread('dbname', 'Write the database behind the host: postgres://host/database'),
  ssl: (value) => {
    if (['true', '1', '0', 'no-verify'].includes(value)) return undefined;
    return `has ssl=${value}, which pg takes for true. Write sslmode=${value === 'false' ? 'disable' : 'verify-full'}`;
  },
  sslmode: checkSslMode,
  uselibpqcompat: (value) =>
    value === 'true'
      ? undefined
      : `has uselibpqcompat=${value}, which pg ignores. Write uselibpqcompat=true, or leave it out`,
  sslcert: fileName('sslcert'),
  sslkey: fileName('sslkey'),
  sslrootcert: (value) =>
    value === 'system'
      ? 'has sslrootcert=system, which pg takes for the name of a file. Leave it out: Node then trusts its own list of authorities, with --use-openssl-ca that of the system'
      : fileName('sslrootcert')(value),
  sslcrl: oneByOne('sslcrl', 'ssl.crl'),
  sslcrldir: oneByOne('sslcrldir', 'ssl.crl'),
  sslpassword: oneByOne('sslpassword', 'ssl.passphrase'),
  ssl_min_protocol_version: oneByOne('ssl_min_protocol_version', 'ssl.minVersion'),
  ssl_max_protocol_version: oneByOne('ssl_max_protocol_version', 'ssl.maxVersion'),
  sslcertmode: (value) =>
    value === 'require' ? 'asks for sslcertmode=require, which pg cannot do. Leave it out' : undefined,
  channel_binding: checkChannelBinding,
  require_auth: unread('require_auth', 'Leave it out, and let pg_hba.conf decide'),
  requirepeer: unread('requirepeer', 'Leave it out'),
  requiressl: unread('requiressl', 'Write sslmode=verify-full'),
  gssencmode: (value) =>
    value === 'require' ? 'asks for gssencmode=require, which pg cannot do. Use TLS: sslmode=verify-full' : undefined,
  min_protocol_version: (value) =>
    value === '3.0' ? undefined : `asks for min_protocol_version=${value}, but pg speaks 3.0. Leave it out`,
};

/**
 * Parameters that `pg` honours as libpq does, and those without a relevant effect, because this module has its own
 * settings.
 */
const OTHER_PARAMETERS = [
  'user',
  'password',
  'host',
  'port',
  'options',
  'application_name',
  'fallback_application_name',
  'client_encoding',
  'replication',
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'query_timeout',
  'sslnegotiation',
  'connect_timeout',
  'keepalives',
  'keepalives_idle',
  'keepalives_interval',
  'keepalives_count',
  'tcp_user_timeout',
  'sslcompression',
  'sslsni',
  'sslkeylogfile',
  'krbsrvname',
  'gsslib',
  'gssdelegation',
  'load_balance_hosts',
  'max_protocol_version',
];

/** The known parameters of a URL. Those of other programs (`schema`, `pgbouncer`, …) are allowed as well. */
export const KNOWN_PARAMETERS: readonly string[] = [...Object.keys(CHECKED_PARAMETERS), ...OTHER_PARAMETERS];
