import { backend } from './backend-messages.js';
import type { FrontendQuery } from './frontend-query.js';
import type { StubConnection } from './stub-connection.js';
import type { StubStartupHandler } from './stub-connection.js';
import { StubServer } from './stub-server.js';

export interface StubPostgresOptions {
  /** Called before a query is answered; whoever returns true has dealt with it, be it by silence. */
  readonly onQuery?: (query: FrontendQuery, connection: StubConnection) => boolean;
  readonly onStartup?: StubStartupHandler;
  /** Whether notifications reach who listens. @default true */
  readonly delivers?: boolean;
}

const INT4 = 23;
const BOOL = 16;

/** A stub server that answers all that a registration asks as PostgreSQL does, until a test has it misbehave. */
export class StubPostgres {
  /** The channels of each connection, in the order in which they were listened to. */
  private readonly channels = new WeakMap<StubConnection, Set<string>>();
  private stub!: StubServer;

  private constructor(private readonly options: StubPostgresOptions) {}

  static async start(options: StubPostgresOptions = {}): Promise<StubPostgres> {
    const server = new StubPostgres(options);
    server.stub = await StubServer.start({
      ...(options.onStartup && { onStartup: options.onStartup }),
      onQuery: (query, connection) => {
        if (!options.onQuery?.(query, connection)) server.answer(query, connection);
      },
    });
    return server;
  }

  get connections(): readonly StubConnection[] {
    return this.stub.connections;
  }

  get connectionCount(): number {
    return this.stub.connectionCount;
  }

  get config() {
    return this.stub.config;
  }

  get url(): string {
    return this.stub.url;
  }

  close(): Promise<void> {
    return this.stub.close();
  }

  /** What a connection listens to. */
  channelsOf(connection: StubConnection): Set<string> {
    const channels = this.channels.get(connection) ?? new Set();
    this.channels.set(connection, channels);
    return channels;
  }

  /** Sends a notification to all that listen to its channel. */
  notify(channel: string, payload: string, senderPid = 1): void {
    for (const connection of this.connections) {
      if (!this.channelsOf(connection).has(channel)) continue;
      connection.write(backend.notificationResponse(senderPid, channel, payload));
    }
  }

  private answer(query: FrontendQuery, connection: StubConnection): void {
    const { text, values } = query;
    const channels = this.channelsOf(connection);
    for (const [, command, name = ''] of text.matchAll(/(UNLISTEN|LISTEN) "((?:[^"]|"")*)"/g)) {
      if (command === 'LISTEN') channels.add(name.replaceAll('""', '"'));
      else channels.delete(name.replaceAll('""', '"'));
    }
    if (text.includes('AS backend_pid')) {
      connection.reply(query, ...this.facts(connection));
      const [, ofCheck, sent] = /pg_notify\('([^']*)', '([^']*)'\)/.exec(text) ?? [];
      return this.deliver(ofCheck, sent, connection);
    }
    if (text.includes('AS same')) return connection.reply(query, ...heartbeatAnswer('t'));
    if (text.includes('pg_listening_channels() AS channel')) {
      const rows = [...channels].map((channel) => backend.dataRow([channel]));
      const tag = backend.commandComplete(`SELECT ${rows.length}`);
      return connection.reply(query, backend.rowDescription(['channel']), ...rows, tag);
    }
    connection.replyByDefault(query);
    const [channel, payload] = values;
    if (text.includes('pg_notify(')) this.deliver(channel, payload, connection);
  }

  private deliver(
    channel: string | null | undefined,
    payload: string | null | undefined,
    { processId }: StubConnection,
  ): void {
    if (typeof channel === 'string' && this.options.delivers !== false) this.notify(channel, payload ?? '', processId);
  }

  private facts({ processId }: StubConnection): Buffer[] {
    return [
      backend.rowDescription([
        { name: 'backend_pid', typeOid: INT4 },
        'server_version',
        'server',
        'database',
        { name: 'standby', typeOid: BOOL },
        { name: 'read_only', typeOid: BOOL },
      ]),
      backend.dataRow([String(processId), '18.0', 'started once', 'stub', 'f', 'f']),
      backend.commandComplete('SELECT 1'),
    ];
  }
}

/** The answer to a heartbeat: whether the server listens to what it should, on a primary that can write. */
export function heartbeatAnswer(same: 't' | 'f'): Buffer[] {
  return [
    backend.rowDescription(['same', 'standby', 'read_only'].map((name) => ({ name, typeOid: BOOL }))),
    backend.dataRow([same, 'f', 'f']),
    backend.commandComplete('SELECT 1'),
  ];
}
