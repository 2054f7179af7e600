import { describe, expect, it } from '@jest/globals';
import { resolveConnections } from '../../lib/session/connection-settings.js';
import type { PgNotifyConnection } from '../../lib/pg-notify.options.js';
import { PgSession } from '../../lib/session/pg-session.js';

describe('settings that cannot be used', () => {
  const usable = 'postgres://user@127.0.0.1/db';
  const open = { applicationName: 'test', connectTimeout: 20 };
  const fails = (): never => {
    throw new Error('the vault is down');
  };
  const neverAnswers = (): Promise<string> => new Promise(() => undefined);

  it.each<[string, PgNotifyConnection, string]>([
    ['that throws', fails, 'The function in the option OPTION failed: the vault is down'],
    ['that never answers', neverAnswers, 'The function in the option OPTION has not returned within 20 ms.'],
    [
      'that pg refuses',
      { host: 'h', sslnegotiation: 'direct' },
      'The settings in the option OPTION cannot be used: sslnegotiation=direct requires SSL to be enabled.',
    ],
  ])('name the option of a connection %s', async (_what, unusable, message) => {
    const { connection } = resolveConnections({ connection: unusable });
    await expect(PgSession.open(connection, open)).rejects.toThrow(message.replace('OPTION', 'connection'));
    const { publisherConnection } = resolveConnections({ connection: usable, publisher: { connection: unusable } });
    await expect(PgSession.open(publisherConnection, open)).rejects.toThrow(
      message.replace('OPTION', 'publisher.connection'),
    );
  });
});
