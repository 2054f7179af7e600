import { ApplicationConfig, ExternalContextCreator, ModulesContainer, NestContainer } from '@nestjs/core';
import { throwAsOfGuard } from './guard-refusal.js';
import type { HandlerHost } from './handler-discovery.js';
import { classEnhancers } from './handler-enhancers.js';
import { PAYLOAD_TYPE } from './handler-metadata.js';
import { finalOutcomeOf } from '../consumers/handler-outcome.js';

/**
 * Nest's creator of contexts for the handlers of one host. It uses the host's own module, even if others have its class
 * as well, and remembers nothing of other classes of the same name, as Nest 11.0 would.
 *
 * @param globals The configuration whose global enhancers run as well; undefined for none.
 */
export function createContexts(host: HandlerHost, globals: ApplicationConfig | undefined): ExternalContextCreator {
  // An empty configuration has no global enhancers: those of the application are meant for requests.
  const contexts = ExternalContextCreator.fromContainer(new HostContainer(host, globals ?? new ApplicationConfig()));
  const applyPipes = contexts.getParamValue.bind(contexts);
  // Pipes of the method are for the payload: for a notification or a context they could only fail.
  contexts.getParamValue = async (value, metadata, pipes) =>
    Number(metadata.type) === PAYLOAD_TYPE ? ((await applyPipes(value, metadata, pipes)) as unknown) : value;
  const createGuards = contexts.createGuardsFn.bind(contexts);
  contexts.createGuardsFn = (...given) => {
    const activate = createGuards(...given);
    return activate && ((args: unknown[]) => activate(args).catch(throwAsOfGuard));
  };
  contexts.transformToResult = finalOutcomeOf;
  for (const creator of creatorsOf(contexts)) creator.reflectClassMetadata = (_, key) => classEnhancers(host, key);
  return contexts;
}

/** The part of Nest's creators that reads the enhancers of a class. */
interface EnhancersCreator {
  reflectClassMetadata(instance: object, key: string): readonly unknown[];
}

/**
 * Nest's creators of guards, interceptors and pipes. By themselves, those of Nest 11 read only the class of the instance, and those
 * of Nest 12 only the class in the module.
 */
function creatorsOf(contexts: ExternalContextCreator): readonly EnhancersCreator[] {
  const { guardsContextCreator, interceptorsContextCreator, pipesContextCreator } = contexts as unknown as Readonly<
    Record<'guardsContextCreator' | 'interceptorsContextCreator' | 'pipesContextCreator', EnhancersCreator>
  >;
  return [guardsContextCreator, interceptorsContextCreator, pipesContextCreator];
}

/**
 * A view of the host's module in which controllers are providers, because Nest's creator looks for hosts among
 * providers only.
 */
class HostContainer extends NestContainer {
  private readonly view = new ModulesContainer();

  constructor(host: HandlerHost, config: ApplicationConfig) {
    super(config);
    const module = host.host!;
    this.view.set(module.id, Object.create(module, { hasProvider: { value: () => true } }) as typeof module);
  }

  override getModules(): ModulesContainer {
    return this.view;
  }
}
