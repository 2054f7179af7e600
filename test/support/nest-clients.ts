import type { PgRelayClient } from 'nest-pg-notify/events';
import { of } from 'rxjs';
import type { Observable } from 'rxjs';

/** The clients of `@nestjs/microservices` that a test is about: the real ones, or fakes of the same names. */
export type NestClients = Readonly<
  Record<
    'ClientKafka' | 'ClientMqtt' | 'ClientNats' | 'ClientRedis' | 'ClientRMQ' | 'ClientTCP',
    new (options: object) => PgRelayClient
  >
>;

// Fakes: the package is too heavy for everybody, because every application of Nest loads it as soon as it is installed.
// `npm run test:brokers` has it, and asks the same of the real clients.

export class ClientProxy implements PgRelayClient {
  readonly serializer?: { serialize(packet: { pattern: unknown; data: unknown }): unknown };
  readonly emitted: (readonly [pattern: unknown, data: unknown])[] = [];

  constructor(readonly options: object = {}) {}

  async connect(): Promise<void> {}

  emit(pattern: unknown, data: unknown): Observable<unknown> {
    this.emitted.push([pattern, data]);
    return of(undefined);
  }

  unwrap(): unknown {
    return undefined;
  }
}

export class ClientKafka extends ClientProxy {
  emitBatch(_topic: string, _data: object): Observable<unknown> {
    return of(undefined);
  }
}

/** What `RmqRecordBuilder` builds. */
export class RmqRecord {
  constructor(
    readonly data: unknown,
    readonly options: object,
  ) {}
}

export class ClientRMQ extends ClientProxy {
  override readonly serializer = {
    serialize: (packet: { pattern: unknown; data: unknown }): unknown =>
      packet.data instanceof RmqRecord ? { ...packet, data: packet.data.data, options: packet.data.options } : packet,
  };
}

export class ClientMqtt extends ClientProxy {
  override readonly serializer = { serialize: (packet: object): unknown => JSON.stringify(packet) };
}

export class ClientNats extends ClientProxy {}
export class ClientRedis extends ClientProxy {}
export class ClientTCP extends ClientProxy {}

export const FAKE_CLIENTS: NestClients = { ClientKafka, ClientMqtt, ClientNats, ClientRedis, ClientRMQ, ClientTCP };
