import { describe, expect, it } from '@jest/globals';
import { connectionFailure, endpointOf, splitRemedy } from '../../lib/session/connection-failure.js';

function failure(properties: object): ReturnType<typeof connectionFailure> {
  return connectionFailure(Object.assign(new Error('it failed'), properties), 'db:5432');
}

describe('a failure of a connection', () => {
  it.each([
    '28P01',
    '28000',
    '3D000',
    '42501',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'CERT_HAS_EXPIRED',
    'SELF_SIGNED_CERT_IN_CHAIN',
  ])('is permanent and says what to do if its code is %s', (code) => {
    expect(failure({ code })).toMatchObject({ kind: 'connection', permanent: true, endpoint: 'db:5432' });
    expect(failure({ code }).message).toMatch(/^db:5432: it failed.*\. [A-Z].*\.$/);
  });

  it.each(['57P01', '57P03', '53300', '25006', '08006', 'ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'ETIMEDOUT'])(
    'is worth another attempt if its code is %s',
    (code) => {
      expect(failure({ code })).toMatchObject({ permanent: false });
    },
  );

  it.each(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN', '57P03'])(
    'says what it may be if its code is %s',
    (code) => {
      expect(failure({ code }).message).toMatch(/^db:5432: it failed.*\. [A-Z].*[.?]$/);
    },
  );

  it.each([
    ['25006', 'default_transaction_read_only'],
    ['57014', 'statement_timeout'],
    ['57P05', 'idle_session_timeout'],
    ['25P03', 'idle_in_transaction_session_timeout'],
    ['25P04', 'transaction_timeout'],
  ])('names the setting of the role that it may come from if its code is %s', (code, setting) => {
    expect(splitRemedy(failure({ code }).message).remedy).toContain(setting);
  });

  it.each(['string', 'non-empty string'])('is permanent and asks for a password if there is none (%s)', (what) => {
    const message = `SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a ${what}`;
    const error = failure({ message });
    expect(error).toMatchObject({ permanent: true });
    expect(splitRemedy(error.message)).toEqual({
      problem: `db:5432: ${message}.`,
      remedy: 'Give the connection a password: in its URL, in PGPASSWORD or in a .pgpass file.',
    });
  });

  it.each([
    ['ENOENT', 'unix_socket_directories'],
    ['EACCES', 'unix_socket_permissions'],
  ])('says where to look if it is one of a Unix socket (%s)', (code, setting) => {
    expect(splitRemedy(failure({ code }).message).remedy).toContain(setting);
  });

  it.each(['Connection terminated unexpectedly', 'the connection was closed'])(
    'says who it may have been if it came without a word: %s',
    (message) => {
      expect(splitRemedy(failure({ message }).message)).toEqual({
        problem: `db:5432: ${message}.`,
        remedy:
          'PostgreSQL, or a proxy or firewall in between, ended the connection without saying why: its log may. Is it PostgreSQL that answers there?',
      });
    },
  );

  it.each(['57P01', 'XX000', '08P01'])('has the SQLSTATE %s of the server', (code) => {
    expect(failure({ code }).sqlState).toBe(code);
  });

  it.each(['EPIPE', 'ECONNRESET'])('has no SQLSTATE if it is one of the network (%s)', (code) => {
    expect(failure({ code }).sqlState).toBeUndefined();
    expect(failure({ code }).message).not.toContain('SQLSTATE');
  });

  it('names the last address that was tried if a name has several', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED ::1:5432'), { code: 'ECONNREFUSED' });
    const error = new AggregateError([refused, new Error('connect ECONNREFUSED 127.0.0.1:5432')], '');
    expect(connectionFailure(error, 'localhost:5432').message).toContain('connect ECONNREFUSED 127.0.0.1:5432');
  });

  it('takes credentials out of URLs in messages', () => {
    const { message } = failure({ message: 'bad URL postgres://me:s3cret@host/db and https://t0ken@vault/x' });
    expect(message).toContain('postgres://***@host/db and https://***@vault/x');
  });

  it.each([
    ['postgres://me:s3cret word@host/db is bad', 'postgres://***@host/db is bad'],
    ['postgres://host/db?user=me&password=s3cret&x=1', 'postgres://host/db?user=me&password=***&x=1'],
    ['host=h password=s3cret dbname=d', 'host=h password=*** dbname=d'],
    [`host=h password = 's3\\'cret word' dbname=d`, 'host=h password = *** dbname=d'],
    ['host=h sslpassword=s3cret', 'host=h sslpassword=***'],
  ])('takes the password out of %j', (message, expected) => {
    expect(failure({ message }).message).toBe(`db:5432: ${expected}.`);
  });

  it('takes a private key out of messages, whole or cut off', () => {
    const key = '-----BEGIN EC PRIVATE KEY-----\ns3cret\n';
    for (const end of ['', '-----END EC PRIVATE KEY-----']) {
      const { message } = failure({ message: `ENOENT: no such file or directory, open '${key}${end}'` });
      expect(message).toMatch(/^db:5432: ENOENT: no such file or directory, open '\*\*\*/);
      expect(message).not.toContain('s3cret');
    }
  });

  it.each([
    'postgres://host:5432/db refused bob@example',
    'password authentication failed for user "me"',
    'the role me@host has no password',
  ])('leaves %j as it is', (message) => {
    expect(failure({ message }).message).toBe(`db:5432: ${message}.`);
  });

  it.each([undefined, null, 'text', 42, {}])('is made of whatever was thrown: %p', (thrown) => {
    expect(connectionFailure(thrown, 'db:5432')).toMatchObject({ kind: 'connection', permanent: false });
  });
});

describe('an endpoint', () => {
  it.each([
    [{ host: 'db.example', port: 5432 }, 'db.example:5432'],
    [{ host: '::1', port: 5432 }, '[::1]:5432'],
    [{ host: '/var/run/postgresql', port: 5432 }, '/var/run/postgresql'],
    [{ host: 'postgres://me:s3cret@db.example/shop', port: 5432 }, '[postgres://***@db.example/shop]:5432'],
  ])('is written for %p as %s', (parameters, expected) => {
    expect(endpointOf(parameters)).toBe(expected);
  });
});
