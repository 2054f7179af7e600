import 'reflect-metadata';
import type { DiscoveredHandler } from './handler-discovery.js';
import { ENHANCER_KEYS } from './handler-enhancers.js';

type Method = (...args: unknown[]) => unknown;

/** The method of a handler as its class has it now, whatever decorators and spies have put in its place. */
export function currentMethodOf({ host, method }: DiscoveredHandler): Method {
  return (Object.getPrototypeOf(host.instance) as Readonly<Record<string, Method>>)[method]!;
}

/**
 * The method with all metadata that stands on it. If a decorator above ours has replaced the method and left its metadata
 * behind, this is a function of its own that calls the replacement: another application of the process must find the
 * class as it was.
 */
export function methodWithMetadata(handler: DiscoveredHandler): Method {
  const current = currentMethodOf(handler);
  const { decorated } = handler.metadata;
  return current === decorated ? current : withMetadata(handler.method, current, [decorated, current]);
}

/** A function that calls `method`, and has the metadata of all of `sources`; what comes later in these takes precedence. */
export function withMetadata(name: string, method: Method, sources: readonly object[]): Method {
  const caller = function (this: unknown, ...args: unknown[]): unknown {
    return method.apply(this, args);
  };
  Object.defineProperty(caller, 'name', { value: name });
  for (const source of sources) {
    for (const key of Reflect.getMetadataKeys(source) as unknown[]) {
      const value: unknown = Reflect.getMetadata(key, source);
      Reflect.defineMetadata(key, ENHANCER_KEYS.includes(key) ? joined(key, caller, value) : value, caller);
    }
  }
  return caller;
}

/** Enhancers add up, each once: a decorator that copies the metadata has those of the method below as well. */
function joined(key: unknown, target: object, value: unknown): unknown[] {
  const before = (Reflect.getMetadata(key, target) as unknown[] | undefined) ?? [];
  return [...new Set([...before, ...(value as unknown[])])];
}
