import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { inspect } from 'node:util';
import { PgNotifyModule } from 'nest-pg-notify';
import { Client, Pool } from 'pg';
import { messageOf } from '../../lib/pg-notify.errors.js';
import { readConnectionUrl } from '../../lib/session/connection-url.js';
import { appSuite } from '../support/app/app-suite.js';
import type { TestApp } from '../support/app/test-app.js';
import { StubPostgres } from '../support/stub-postgres.js';

const suite = appSuite({ bus: true });

const SECRET = 'canary-secret';
const PEM = `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----\n`;

/** What JavaScript, a cast or a configuration service may hand over. */
const unchecked = (value: unknown): never => value as never;

function create(connection: unknown): Promise<TestApp> {
  const options = { connection: unchecked(connection), startup: { timeout: 1_000 } };
  return suite.createOf({ imports: [PgNotifyModule.forRoot(options)] });
}

async function tryToStart(connection: unknown): Promise<{ readonly error: unknown; readonly subject?: TestApp }> {
  let subject: TestApp | undefined;
  try {
    subject = await create(connection);
    await subject.app.init();
    return { error: 'it started', subject };
  } catch (error) {
    return { error, ...(subject && { subject }) };
  }
}

/** What happens to a connection that is given as it is, and by functions: the error, and whether anything printable holds the secret. */
async function refusalsOf(connection: unknown): Promise<unknown[]> {
  const refusals: unknown[] = [];
  for (const given of [connection, () => connection, () => Promise.resolve(connection)]) {
    const { error, subject } = await tryToStart(given);
    const printed = [error, subject?.service.status].map((value) => inspect(value, { depth: 20, showHidden: true }));
    const isLeaking = [...printed, ...(subject?.logger.texts() ?? [])].join('\n').includes(SECRET);
    refusals.push({ ...Object(error), message: messageOf(error), isLeaking });
  }
  return refusals;
}

/** Three times the same, in these words. */
const refused = (option: string, problem: string): unknown[] =>
  Array.from({ length: 3 }, () => ({
    kind: 'configuration',
    permanent: true,
    message: `The option ${option} of PgNotifyModule ${problem}`,
    isLeaking: false,
  }));

const ENCODE =
  'is not a URL that can be read. In a user or a password, write % # / ? @ and : as encodeURIComponent() does: %25 %23 %2F %3F %40 %3A.';
const SCHEME =
  'must be the folder of a Unix socket or begin with postgres:// or postgresql://, as postgres://user:password@host:5432/database.';
const SEVERAL =
  'names several hosts, and pg connects to one. Give a function that returns the settings of the primary: docs/connecting.md has one.';

describe('the URL of a connection', () => {
  it.each([
    ['http://u:SECRET@h/d', SCHEME],
    ['mysql://u:SECRET@h/d', SCHEME],
    ['postgress://u:SECRET@h/d', SCHEME],
    ['jdbc:postgresql://u:SECRET@h/d', SCHEME],
    ['postgres:/u:SECRET@h/d', SCHEME],
    ['postgres://u:SECRET#1@h/d', ENCODE],
    ['postgres://u:SECRET/1@h/d', ENCODE],
    ['postgres://u:SECRET?1@h/d', ENCODE],
    ['postgres://u:1/SECRET@h/d', ENCODE],
    ['postgres://u:1?SECRET@h/d', ENCODE],
    ['postgres://u:1#SECRET@h/d', ENCODE],
    ['postgres://u:SECRET%E2x@h/d', ENCODE],
    ['postgres://u:SECRET@h:port/d', ENCODE],
    ['postgres://[', ENCODE],
    ['postgres://u:SECRET@a,b/d', SEVERAL],
    ['postgres://u:SECRET@a:5432,b:5433/d?target_session_attrs=primary', SEVERAL],
    ['postgres://u:SECRET@/d?host=a,b', SEVERAL],
    [
      'postgres://u:SECRET@h/d?target_session_attrs=prefer-standby',
      'asks for target_session_attrs=prefer-standby, but LISTEN and NOTIFY work on a primary only. Leave it out.',
    ],
    [
      'postgres://u:SECRET@h/d?hostaddr=10.0.0.1',
      'has hostaddr, which pg does not read. Write the address as the host, and the name that the certificate is for as ssl.servername.',
    ],
    [
      'postgres:///?service=shop',
      'has service, which pg does not read. Write host, port, user, password and database out.',
    ],
    [
      'postgres://u@h/d?passfile=/run/pass',
      'has passfile, which pg does not read. Name the file in the variable PGPASSFILE.',
    ],
    [
      'postgres://u:SECRET@h?dbname=shop',
      'has dbname, which pg does not read. Write the database behind the host: postgres://host/database.',
    ],
    [
      'postgres://u:SECRET@h/d?sslrootcert=system',
      'has sslrootcert=system, which pg takes for the name of a file. Leave it out: Node then trusts its own list of authorities, with --use-openssl-ca that of the system.',
    ],
    [
      'postgres://u:SECRET@h/d?sslmode=allow',
      'has sslmode=allow, which pg does not know. It takes disable, no-verify, prefer, require, verify-ca and verify-full.',
    ],
    [
      'postgres://u:SECRET@h/d?sslmode=requre',
      'has sslmode=requre, which pg does not know. It takes disable, no-verify, prefer, require, verify-ca and verify-full.',
    ],
    ['postgres://u:SECRET@h/d?ssl=false', 'has ssl=false, which pg takes for true. Write sslmode=disable.'],
    [
      'postgres://u:SECRET@h/d?sslcrl=/crl.pem',
      'has sslcrl, which pg does not read. Give the settings one by one, with ssl.crl.',
    ],
    [
      'postgres://u:SECRET@h/d?sslpassword=SECRET',
      'has sslpassword, which pg does not read. Give the settings one by one, with ssl.passphrase.',
    ],
    [
      'postgres://u:SECRET@h/d?ssl_min_protocol_version=TLSv1.3',
      'has ssl_min_protocol_version, which pg does not read. Give the settings one by one, with ssl.minVersion.',
    ],
    [
      'postgres://u:SECRET@h/d?require_auth=scram-sha-256',
      'has require_auth, which pg does not read. Leave it out, and let pg_hba.conf decide.',
    ],
    ['postgres://u:SECRET@h/d?requirepeer=postgres', 'has requirepeer, which pg does not read. Leave it out.'],
    ['postgres://u:SECRET@h/d?requiressl=1', 'has requiressl, which pg does not read. Write sslmode=verify-full.'],
    [
      'postgres://u:SECRET@h/d?gssencmode=require',
      'asks for gssencmode=require, which pg cannot do. Use TLS: sslmode=verify-full.',
    ],
    [
      'postgres://u:SECRET@h/d?channel_binding=always',
      'has channel_binding=always. It takes disable, prefer and require.',
    ],
    ['postgres://u:SECRET@h/d?sslMode=require', 'has sslMode, which pg does not know. Did you mean sslmode?'],
    ['postgres://u:SECRET@h/d?ssl_mode=require', 'has ssl_mode, which pg does not know. Did you mean sslmode?'],
    [
      'postgres://u:SECRET@h/d?target_sesion_attrs=primary',
      'has target_sesion_attrs, which pg does not know. Did you mean target_session_attrs?',
    ],
    [
      `postgres://u@h/d?sslkey=${encodeURIComponent(PEM)}`,
      'has sslkey, which must be the name of a file, not what it holds.',
    ],
  ])('is refused with what to write, before anything is connected: %s', async (url, problem) => {
    const connectionString = url.replaceAll('SECRET', SECRET);
    expect(await refusalsOf(connectionString)).toEqual(refused('connection', problem));
    expect(await refusalsOf({ connectionString })).toEqual(refused('connection.connectionString', problem));
  });
});

/** As providers, frameworks and the documentation of PostgreSQL write them. */
const USUAL = [
  'postgres://app@localhost/shop',
  'postgresql://app:secret@[::1]:5433/shop',
  'postgresql://app:secret@ep-cool-1.eu.example/shop?sslmode=require&channel_binding=require',
  'postgresql://app:secret@db.example:6543/postgres?pgbouncer=true&connection_limit=1&pool_timeout=20',
  'postgresql://app:secret@localhost:5432/shop?schema=public&sslaccept=strict',
  'postgres://app%40server:p%40ss%2Fw%3Fo%23rd@server.example/shop?sslmode=verify-full',
  'postgres://app:p@ss@localhost/shop',
  'postgres://app:100%sure@localhost/shop',
  'postgres://app:two words@localhost/shop',
  'postgres://app:secret@localhost/shop?target_session_attrs=read-write&connect_timeout=5&keepalives=1',
  'postgres://app:secret@localhost/shop?application_name=a@b&options=-c%20search_path%3Dshop',
  'postgres://localhost:5432/shop?user=app@server&password=secret',
  'postgres://app:secret@/shop?host=/var/run/postgresql',
  'postgres://%2Fvar%2Frun%2Fpostgresql/shop',
  'postgres:///shop',
  '/var/run/postgresql shop',
  'socket:/var/run/postgresql?db=shop&encoding=utf8',
];

describe('the URL of a connection, as it is usually written,', () => {
  const refuse = (problem: string): Error => new Error(problem);

  beforeEach(() => {
    const warn = jest.spyOn(process, 'emitWarning').mockReturnValue(); // pg warns of sslmode=require.
    suite.cleanup(() => warn.mockRestore());
  });

  it.each(USUAL)('is taken, and means the same to pg: %s', (url) => {
    const { text } = readConnectionUrl(url, refuse);
    const [given, taken] = [url, text].map((connectionString) => new Client({ connectionString }));
    const meaning = ({ host, port, user, database, password, ssl }: Client): unknown => [
      host,
      port,
      user,
      database,
      password,
      ssl,
    ];
    expect(meaning(taken!)).toEqual(meaning(given!));
  });
});

describe('the settings of a connection', () => {
  const POOL =
    'is a pool or a client. The listener needs a connection of its own: give the settings of one. A pool to send with is the option publisher.pool.';

  it.each<[what: string, connection: unknown, problem: string, option?: string]>([
    ['a pool', new Pool({ password: SECRET }), POOL],
    ['a client', new Client({ password: SECRET }), POOL],
    ['a URL object', new URL(`postgres://u:${SECRET}@h/d`), 'is a URL object. Give its href.'],
    [
      'a list',
      ['postgres://h'],
      'must be a connection string, the settings of a pg.Client, or a function that returns them.',
    ],
    [
      'a host that is a URL',
      { host: `postgres://u:${SECRET}@h/d` },
      'is a URL. Give it as connectionString.',
      'connection.host',
    ],
    [
      'a host with credentials',
      { host: `u:${SECRET}@h` },
      'holds an @. Give user and password as settings of their own.',
      'connection.host',
    ],
    [
      'a host with a port',
      { host: 'localhost:5432' },
      'holds a colon. Give the port as a setting of its own.',
      'connection.host',
    ],
    [
      'a host that is a list of words',
      { host: `h password=${SECRET}` },
      'is not the name of a host.',
      'connection.host',
    ],
    ['several hosts', { host: 'a,b' }, SEVERAL, 'connection.host'],
    [
      'an IPv6 address in brackets',
      { host: '[::1]' },
      'is an address in brackets. Leave the brackets out.',
      'connection.host',
    ],
    [
      'an absent host',
      { host: undefined, password: SECRET },
      'is empty or undefined. Is the environment variable that it comes from set?',
      'connection.host',
    ],
    [
      'an empty host',
      { host: '', password: SECRET },
      'is empty or undefined. Is the environment variable that it comes from set?',
      'connection.host',
    ],
    ['a port that is no number', { port: NaN }, 'must be a port from 1 to 65535, not NaN.', 'connection.port'],
    ['a port out of range', { port: '70000' }, `must be a port from 1 to 65535, not '70000'.`, 'connection.port'],
    [
      'a password that is a number',
      { password: 4_711 },
      'must be a string, or a function that returns one, not a number.',
      'connection.password',
    ],
    [
      'ssl that is text',
      { ssl: 'false' },
      `must be true, false, 'no-verify' or an object of TLS options, not 'false'.`,
      'connection.ssl',
    ],
    [
      'ssl beside sslmode in the URL',
      { connectionString: `postgres://u:${SECRET}@h/d?sslmode=require`, ssl: { ca: 'x' } },
      'is ignored by pg beside sslmode in the connectionString. Leave one of them out.',
      'connection.ssl',
    ],
    [
      'ssl: false beside sslmode=require',
      { connectionString: `postgres://u:${SECRET}@h/d?sslmode=require`, ssl: false },
      'is ignored by pg beside sslmode in the connectionString. Leave one of them out.',
      'connection.ssl',
    ],
    [
      'a password beside a URL',
      { connectionString: 'postgres://u@h/d', password: () => SECRET },
      'is ignored by pg beside a connectionString. Write it into the URL, or give all settings one by one.',
      'connection.password',
    ],
    [
      'a host beside a URL',
      { connectionString: 'postgres://u@h/d', host: 'other' },
      'is ignored by pg beside a connectionString. Write it into the URL, or give all settings one by one.',
      'connection.host',
    ],
  ])(
    'are refused with what to write, before anything is connected: %s',
    async (...[, connection, problem, option = 'connection']) => {
      expect(await refusalsOf(connection)).toEqual(refused(option, problem));
    },
  );

  it.each([
    [{ hots: 'h' }, 'connection.hots. Did you mean connection.host?'],
    [{ username: 'u', password: SECRET }, 'connection.username. Did you mean connection.user?'],
    [{ hostname: 'h' }, 'connection.hostname. Did you mean connection.host?'],
    [{ dbname: 'd' }, 'connection.dbname. Did you mean connection.database?'],
    [{ url: `postgres://u:${SECRET}@h` }, 'connection.url. Did you mean connection.connectionString?'],
    [{ sslmode: 'require' }, 'connection.sslmode. Did you mean connection.ssl?'],
    [{ HostName: 'h' }, 'connection.HostName. Did you mean connection.host?'],
  ])('are refused with the nearest name, if they do not exist: %j', async (connection, names) => {
    const { error } = await tryToStart(connection);
    expect(error).toMatchObject({ kind: 'configuration', message: `PgNotifyModule has no option ${names}` });
    expect(inspect(error)).not.toContain(SECRET);
  });

  it('are refused as a promise, with a function to write instead', async () => {
    const { error } = await tryToStart(Promise.resolve('postgres://h'));
    expect(error).toMatchObject({
      message: 'The option connection of PgNotifyModule is a promise. Give a function that returns it: () => promise.',
    });
  });
});

describe('the environment of a connection', () => {
  const before = { ...process.env };
  afterEach(() => {
    process.env = { ...before };
  });

  it.each<[environment: Readonly<Record<string, string>>, message: string]>([
    [{ PGHOST: `postgres://u:${SECRET}@h/d` }, 'The variable PGHOST is a URL. Give it as connectionString.'],
    [{ PGHOST: 'a,b', PGPORT: '1,2' }, `The variable PGHOST ${SEVERAL}`],
    [{ PGHOSTADDR: '10.0.0.1' }, 'The variable PGHOSTADDR is not read by pg. Set PGHOST to the address.'],
    [
      { PGSERVICE: 'shop' },
      'The variable PGSERVICE is not read by pg. Set PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE.',
    ],
    [{ PGHOST: 'h', PGPORT: 'none' }, 'The variable PGPORT must be a port from 1 to 65535.'],
    [
      { PGHOST: 'h', PGSSLMODE: 'requre' },
      'The variable PGSSLMODE has sslmode=requre, which pg does not know. It takes disable, no-verify, prefer, require, verify-ca and verify-full.',
    ],
  ])('is refused for what the settings leave out, with what to set: %j', async (environment, message) => {
    Object.assign(process.env, environment);
    for (const connection of [{}, { user: 'u' }, 'postgres://', () => ({})]) {
      const { error } = await tryToStart(connection);
      expect(error).toMatchObject({ kind: 'configuration', permanent: true, message });
      expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(SECRET);
    }
  });

  it('is ignored if the settings say it themselves', async () => {
    Object.assign(process.env, { PGHOSTADDR: '10.0.0.1', PGSERVICE: 'shop', PGPORT: 'none', PGSSLMODE: 'requre' });
    const { config } = suite.use(await StubPostgres.start());
    const { app, service } = await create({ ...config, ssl: false });
    await app.init();
    expect(service.status.state).toBe('listening');
  });
});

describe('the password function of a connection', () => {
  const ASK_FOR_PASSWORD = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]);
  let server: StubPostgres;
  beforeAll(async () => {
    server = suite.use(await StubPostgres.start({ onStartup: (connection) => connection.write(ASK_FOR_PASSWORD) }));
  });

  it.each([
    [4_711, 'a number'],
    [undefined, 'undefined'],
    [null, 'null'],
    [{ secret: SECRET }, 'an object'],
  ])('rejects init() at once when it returns %p', async (password, what) => {
    for (const given of [() => password, async () => Promise.resolve(password)]) {
      const { error } = await tryToStart({ ...server.config, password: given });
      expect(error).toMatchObject({
        kind: 'configuration',
        permanent: true,
        message: `The option connection.password of PgNotifyModule is a function that returned ${what}. It must return a string.`,
      });
    }
  });

  it('is named when it does not return in time, and the network is not blamed', async () => {
    const connection = { ...server.config, password: () => new Promise<string>(() => undefined) };
    const options = { connection, connectTimeout: 50, startup: { mode: 'fail' } as const };
    const { app } = await suite.createOf({ imports: [PgNotifyModule.forRoot(options)] });
    const { message } = (await app.init().catch((error: unknown) => error)) as Error;
    expect(message).toBe('The function in the option connection.password has not returned within 50 ms.');
  });

  it('is called again at the next attempt when it fails, and its secrets stay out of the message', async () => {
    let asked = 0;
    const password = (): never => {
      asked += 1;
      throw new Error(`vault://u:${SECRET}@h is down`);
    };
    const { error } = await tryToStart({ ...server.config, password });
    expect(asked).toBeGreaterThan(1);
    expect(messageOf(error)).toContain(
      'The last failure: The option connection.password of PgNotifyModule is a function that failed: vault://***@h is down.',
    );
  });
});
