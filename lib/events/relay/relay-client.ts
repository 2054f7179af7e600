import type { Observable } from 'rxjs';
import { isThenable } from '../../channel/thenable.js';

/**
 * A client of `@nestjs/microservices`, as far as a relay needs it: any `ClientProxy` is one. Described here and not imported,
 * so that this package works without that one.
 */
export interface PgRelayClient {
  /** Resolves when the broker can be reached. */
  connect(): Promise<unknown>;
  /** Hands an event to the client. What it returns completes when the broker has acknowledged it, or earlier: that depends on the client. */
  emit(pattern: unknown, data: unknown): Observable<unknown>;
}

/**
 * What the clients have beside that. `unwrap()`, `emitBatch()` and `connect()` are public; `options` and `serializer` are for
 * subclasses, and are only read.
 */
export interface NestClient<Options> extends PgRelayClient {
  readonly options?: Options;
  readonly serializer?: { serialize(packet: unknown): unknown };
  unwrap(): unknown;
}

/** The names of the client's class and of those that it extends, nearest first. */
export function classNamesOf(client: object): readonly string[] {
  const names: string[] = [];
  for (let type = Object.getPrototypeOf(client) as object | null; type; type = Object.getPrototypeOf(type) as object) {
    const { constructor } = type as { readonly constructor?: { readonly name?: unknown } };
    if (typeof constructor?.name === 'string' && constructor.name !== 'Object') names.push(constructor.name);
  }
  return names;
}

/** What Nest's clients send, as the client's serializer makes it: a service of Nest takes it with `@EventPattern(pattern)`. */
export function packetOf({ serializer }: NestClient<unknown>, pattern: string, data: unknown): unknown {
  const packet = { pattern, data };
  const made = serializer ? serializer.serialize(packet) : packet;
  if (isThenable(made)) throw new TypeError('the serializer of the client must not return a promise');
  return made;
}
