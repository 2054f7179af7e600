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

/** The class of a host. For a factory or a value only its instance shows the class. */
export function classOf({ metatype, isNotMetatype, instance }: HandlerHost): object {
  return isNotMetatype || !metatype ? (instance as object).constructor : metatype;
}

/** Looks up enhancers in the module of a host. */
export function moduleOf(host: HandlerHost): ModuleRef {
  return host.host!.getProviderByKey(ModuleRef).instance;
}

/** Whether a method or its class has guards, interceptors, pipes or filters of its own. */
export function hasEnhancers(host: HandlerHost, method: object): boolean {
  return [classOf(host), method].some((place) => enhancersOn(place).length > 0);
}

/**
 * Refuses enhancers that Nest would leave out silently: those of a class that it has not made, such as one from a
 * factory, and those on a method that another decorator has replaced.
 *
 * @param method The method with the metadata of all its decorators.
 * @param current The method as Nest finds it.
 * @param where The decorator of the handler and its method, for messages.
 * @throws PgNotifyError of kind `configuration` that names the first of them.
 */
export function checkEnhancers(host: HandlerHost, method: object, current: object, where: string): void {
  const seen = [classOf(host), current].flatMap(enhancersOn);
  for (const [decorator, enhancer] of [classOf(host), method].flatMap(enhancersOn)) {
    if (typeof enhancer !== 'function' || host.host?.injectables.has(enhancer)) continue;
    const { name } = enhancer;
    const isSeen = seen.some(([, other]) => other === enhancer);
    throw new PgNotifyError(
      'configuration',
      isSeen
        ? `${where} cannot have ${decorator}(${name}): Nest makes the guards, interceptors, pipes and filters of classes ` +
            `that stand in the providers or controllers of a module, and this instance came there in another way. ` +
            `List its class there, or write ${decorator}(new ${name}(…)).`
        : `${where} cannot have ${decorator}(${name}) below a decorator that replaces the method: ` +
            `Nest does not see it there, and it would not run. Move ${decorator}(${name}) above that decorator.`,
    );
  }
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
    ((Reflect.getMetadata(key, place) as readonly unknown[] | undefined) ?? []).map(
      (enhancer) => [decorator, enhancer] as const,
    ),
  );
}
