import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import dns from 'node:dns';
import { connect, type Socket } from 'node:net';
import type { ClientConfig } from 'pg';
import type { PostgresCluster } from '../../dev/embedded-postgres/postgres-cluster.js';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { untilLost } from '../support/app/status.js';
import { watched } from '../support/app/watched-app.js';
import { listeningBackends } from '../support/backends.js';
import { outcomeOf } from '../support/failures.js';
import { ForwardingServer, type KeepPair } from '../support/forwarding-server.js';
import { eventually } from '../support/recorder.js';
import { createStandby, queryOnce } from '../support/standby.js';

const NAME = 'db.test';
/** Linux lets a server listen on any address of 127.0.0.0/8. */
const ADDRESSES = ['127.0.0.2', '127.0.0.3'];

/** Opens an address of its own in front of a server. */
function openDoor(address: string, port: number, target: PostgresCluster): Promise<ForwardingServer> {
  const forward = (client: Socket, keep: KeepPair): void => {
    const upstream = connect(target.port, '127.0.0.1');
    keep(client, upstream);
    client.pipe(upstream).pipe(client);
  };
  return ForwardingServer.start(forward, port, address);
}

describe('a name whose addresses are those of a primary and of its standby, by turns', () => {
  const suite = appSuite({ server: {}, options: { ...QUICK, deliveryCheck: { interval: 100 } } });
  let first: PostgresCluster;
  let second: PostgresCluster;
  let connection: ClientConfig;

  beforeAll(async () => {
    first = suite.server;
    second = await createStandby(first);
    suite.cleanup(() => second.remove());
    const door = suite.use(await openDoor(ADDRESSES[0]!, 0, second)); // The standby comes first.
    suite.use(await openDoor(ADDRESSES[1]!, door.port, first));
    connection = { ...suite.database.config, database: 'postgres', host: NAME, port: door.port };
    turnAddresses();
  });

  /** Answers for the name as a name server does that turns its list at each question. */
  function turnAddresses(): void {
    let asked = 0;
    const lookup = dns.lookup as (...given: unknown[]) => void;
    const spy = jest.spyOn(dns, 'lookup').mockImplementation(((name: string, options: object, answer: unknown) => {
      if (name !== NAME) return lookup(name, options, answer);
      const turned = asked++ % 2 === 0 ? ADDRESSES : ADDRESSES.toReversed();
      const all = turned.map((address) => ({ address, family: 4 }));
      const callback = answer as (...given: unknown[]) => void;
      if ('all' in options && options.all === true) callback(null, all);
      else callback(null, all[0]!.address, 4);
    }) as never);
    suite.cleanup(() => spy.mockRestore());
  }

  it('leads the listener to the primary, and to the next one after a failover, and loses nothing silently that is sent', async () => {
    const subject = watched(await suite.create({ connection }));
    await subject.app.init();
    await subject.service.ready();
    expect(await listeningBackends({ url: first.url() })).toEqual([subject.service.status.processId]);
    // What reaches the standby is not sent, and its sender knows.
    const outcomes: string[] = [];
    const send = (payload: string): Promise<unknown> =>
      eventually(
        async () => {
          outcomes.push(await outcomeOf(subject.service.notify('watched', payload)));
          return outcomes.at(-1);
        },
        (outcome) => outcome === 'sent',
      );
    await send('on the first');
    expect(new Set(outcomes.slice(0, -1))).toEqual(outcomes.length > 1 ? new Set(['not-sent']) : new Set());
    await subject.seen.until(2);

    const lost = untilLost(subject);
    await first.stop();
    await lost;
    await queryOnce(second.url(), 'SELECT pg_promote()');
    await subject.service.ready();
    expect(await listeningBackends({ url: second.url() })).toEqual([subject.service.status.processId]);
    await send('on the second');
    await subject.seen.until(4);
    expect(subject.seen.items).toEqual(['start', 'on the first', 'reconnect', 'on the second']);
  });
});
