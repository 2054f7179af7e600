import 'reflect-metadata';
import type { DiscoveredHandler } from './handler-discovery.js';
import { ENHANCER_KEYS } from './handler-enhancers.js';

type Method = (...args: unknown[]) => unknown;

/** The method of a handler as its class has it now, possibly replaced by decorators or spies. */
export function currentMethodOf({ host, method }: DiscoveredHandler): Method {
  return (Object.getPrototypeOf(host.instance) as Readonly<Record<string, Method>>)[method]!;
}

/**
 * The method with the metadata of all its decorators. If a decorator above ours has replaced the method without copying
 * its metadata, this is a new function that calls the replacement: the class must stay unchanged for other applications
 * in the process.
 */
export function methodWithMetadata(handler: DiscoveredHandler): Method {
  const current = currentMethodOf(handler);
  const { decorated } = handler.metadata;
  return current === decorated ? current : withMetadata(handler.method, current, [decorated, current]);
}

/** A function that calls `method` and has the metadata of all `sources`, of which later ones take precedence. */
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

/** Enhancers of all sources, each once: a decorator that copies the metadata has those of the method below as well. */
function joined(key: unknown, target: object, value: unknown): unknown[] {
  const before = (Reflect.getMetadata(key, target) as unknown[] | undefined) ?? [];
  return [...new Set([...before, ...(value as unknown[])])];
}
