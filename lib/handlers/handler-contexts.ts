import { ApplicationConfig, ExternalContextCreator, ModulesContainer, NestContainer } from '@nestjs/core';
import { throwAsOfGuard } from './guard-refusal.js';
import type { HandlerHost } from './handler-discovery.js';
import { PAYLOAD_TYPE } from './handler-metadata.js';
import { finalOutcomeOf } from '../consumers/handler-outcome.js';

/**
 * Nest's creator of contexts, for the handlers of one host: with the host's module, whichever others have its class too,
 * and with nothing remembered of other classes of the same name, as Nest 11.0 would.
 *
 * @param globals Whose global enhancers run as well; undefined for none.
 */
export function createContexts(host: HandlerHost, globals: ApplicationConfig | undefined): ExternalContextCreator {
  // A configuration of its own has no global enhancers: those of the application are meant for requests.
  const contexts = ExternalContextCreator.fromContainer(new HostContainer(host, globals ?? new ApplicationConfig()));
  const applyPipes = contexts.getParamValue.bind(contexts);
  // A pipe of the method is for the payload: it could do nothing with a notification or a context but fail.
  contexts.getParamValue = async (value, metadata, pipes) =>
    Number(metadata.type) === PAYLOAD_TYPE ? ((await applyPipes(value, metadata, pipes)) as unknown) : value;
  const createGuards = contexts.createGuardsFn.bind(contexts);
  contexts.createGuardsFn = (...given) => {
    const activate = createGuards(...given);
    return activate && ((args: unknown[]) => activate(args).catch(throwAsOfGuard));
  };
  contexts.transformToResult = finalOutcomeOf;
  return contexts;
}

/** The one module of a host. Nest's creator of contexts looks for hosts among providers only: here controllers are some. */
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
