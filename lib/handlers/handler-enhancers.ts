import 'reflect-metadata';
import { ModuleRef } from '@nestjs/core';
import type { ApplicationConfig } from '@nestjs/core';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { HandlerHost } from './handler-discovery.js';

/** The metadata keys of Nest's decorators: `@nestjs/common`, constants. */
const ENHANCERS = {
  '@UseGuards': '__guards__',
  '@UseInterceptors': '__interceptors__',
  '@UsePipes': '__pipes__',
  '@UseFilters': '__exceptionFilters__',
};

/** The keys of the metadata of guards, interceptors, pipes and filters. */
export const ENHANCER_KEYS: readonly unknown[] = Object.values(ENHANCERS);

/**
 * The classes of a host whose enhancers run: that of its instances, and that in the module. They differ if a class
 * decorator returns a class that does not extend the decorated one, such as a Proxy, or if a mixin has overwritten
 * `constructor`. Of a factory or a value only the instance shows the class.
 */
export function classesOf({ metatype, isNotMetatype, instance }: HandlerHost): readonly object[] {
  const { constructor } = Object.getPrototypeOf(instance) as object;
  return isNotMetatype || !metatype ? [constructor] : [...new Set([constructor, metatype])];
}

/** The enhancers of one kind on the class of a host, by the key of their metadata. */
export function classEnhancers(host: HandlerHost, key: string): readonly unknown[] {
  return [...new Set(classesOf(host).flatMap((type) => enhancersBy(key, type)))];
}

/** Looks up enhancers in the module of a host. */
export function moduleOf(host: HandlerHost): ModuleRef {
  return host.host!.getProviderByKey(ModuleRef).instance;
}

/** Whether a method or its class has guards, interceptors, pipes or filters of its own. */
export function hasEnhancers(host: HandlerHost, method: object): boolean {
  return [...classesOf(host), method].some((place) => enhancersOn(place).length > 0);
}

/**
 * Refuses enhancers that Nest would leave out silently: those of a class that it has not made, such as one from a
 * factory, those of a class that a decorator has replaced, and those on a method that another decorator has replaced.
 *
 * @param method The method with the metadata of all its decorators.
 * @param current The method as Nest finds it.
 * @param where The decorator of the handler and its method, for messages.
 * @throws PgNotifyError of kind `configuration` that names the first of them.
 */
export function checkEnhancers(host: HandlerHost, method: object, current: object, where: string): void {
  const seen = [...classesOf(host), current].flatMap(enhancersOn);
  for (const [decorator, enhancer] of [...classesOf(host), method].flatMap(enhancersOn)) {
    if (typeof enhancer !== 'function' || host.host?.injectables.has(enhancer)) continue;
    const written = `${decorator}(${enhancer.name})`;
    const isSeen = seen.some(([, other]) => other === enhancer);
    throw new PgNotifyError(
      'configuration',
      isSeen ? notMade(host, where, written, enhancer.name) : notSeen(where, written),
    );
  }
}

function notMade({ isNotMetatype }: HandlerHost, where: string, written: string, name: string): string {
  return isNotMetatype
    ? `${where} cannot have ${written}: Nest makes the guards, interceptors, pipes and filters of classes ` +
        `that stand in the providers or controllers of a module, and this instance came there in another way. ` +
        `List its class there, or write ${written.slice(0, -1 - name.length)}new ${name}(…)).`
    : `${where} cannot have ${written} on its class: a decorator above it returns another class that does not extend this one, ` +
        `so Nest does not see it, and it would not run. Move ${written} above that decorator, or to the method.`;
}

function notSeen(where: string, written: string): string {
  return (
    `${where} cannot have ${written} below a decorator that replaces the method: ` +
    `Nest does not see it there, and it would not run. Move ${written} above that decorator.`
  );
}

/** Global enhancers that Nest makes for each context: no context has an instance of them yet. */
export function scopedGlobals(config: ApplicationConfig) {
  return [
    ...config.getGlobalRequestGuards(),
    ...config.getGlobalRequestInterceptors(),
    ...config.getGlobalRequestPipes(),
    ...config.getGlobalRequestFilters(),
  ];
}

export function hasGlobals(config: ApplicationConfig): boolean {
  const shared: readonly (readonly unknown[])[] = [
    config.getGlobalGuards(),
    config.getGlobalInterceptors(),
    config.getGlobalPipes(),
    config.getGlobalFilters(),
    scopedGlobals(config),
  ];
  return shared.some((enhancers) => enhancers.length > 0);
}

function enhancersOn(place: object): (readonly [decorator: string, enhancer: unknown])[] {
  return Object.entries(ENHANCERS).flatMap(([decorator, key]) =>
    enhancersBy(key, place).map((enhancer) => [decorator, enhancer] as const),
  );
}

function enhancersBy(key: string, place: object): readonly unknown[] {
  return (Reflect.getMetadata(key, place) as readonly unknown[] | undefined) ?? [];
}
