import 'reflect-metadata';

/** Replaces the method by a function that writes to the log and calls it; returns both functions. */
function replace(descriptor: PropertyDescriptor, log: string[]) {
  const original = descriptor.value as (...args: unknown[]) => unknown;
  const wrapped = function (this: unknown, ...args: unknown[]): unknown {
    log.push('wrapped');
    return original.apply(this, args);
  };
  descriptor.value = wrapped;
  return { original, wrapped };
}

/** As `@CreateRequestContext()` of MikroORM does: the metadata of the method is left behind. */
export const Wrap =
  (log: string[] = []): MethodDecorator =>
  (_target, _name, descriptor) => {
    replace(descriptor, log);
    return descriptor;
  };

/** As Sentry's and nestjs-cls's do: the metadata is copied to the function that replaces the method, key by key. */
export const WrapWithMetadata =
  (log: string[] = []): MethodDecorator =>
  (_target, _name, descriptor) => {
    const { original, wrapped } = replace(descriptor, log);
    for (const key of Reflect.getMetadataKeys(original)) {
      Reflect.defineMetadata(key, Reflect.getMetadata(key, original), wrapped);
    }
  };

/** As Sentry's and nestjs-cls's may do as well: the metadata is read through the Proxy. */
export const WrapInProxy =
  (log: string[] = []): MethodDecorator =>
  (_target, _name, descriptor) => {
    descriptor.value = new Proxy(descriptor.value as object, {
      apply: (method, self, args) => {
        log.push('wrapped');
        return Reflect.apply(method as () => unknown, self, args) as unknown;
      },
    }) as never;
  };
