import 'reflect-metadata';
import { types } from 'node:util';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { DiscoveredHandler } from './handler-discovery.js';
import { currentMethodOf } from './handler-method.js';
import { ownerOf } from './handler-metadata.js';

/** The metadata key of Nest's parameter decorators: `@nestjs/common`, constants. */
const PARAMETERS = '__routeArguments__';

/** Metadata of methods that something else calls as well. Their parameter decorators belong to that. */
const OTHER_ENTRANCES = [
  'path', // @Get(), @Sse() … of @nestjs/common
  'microservices:pattern', // @EventPattern(), @MessagePattern()
  'websockets:message_mapping', // @SubscribeMessage()
  'graphql:resolver_type', // @Query(), @Mutation(), @Subscription()
  'graphql:resolve_property', // @ResolveField()
  'graphql:resolve_reference', // @ResolveReference()
];

const ARGUMENTS = {
  notification: '(payload, notification, context)',
  gap: '(gap, context)',
  'wake-up': '(wakeUp, context)',
  event: '(payload, event, context)',
} as const;

/**
 * Refuses methods that would be called without doing what is written there.
 *
 * @param where The decorator of the handler and its method, for messages.
 * @throws PgNotifyError of kind `configuration` with the remedy.
 */
export function checkMethod(handler: DiscoveredHandler, where: string): void {
  const current = currentMethodOf(handler);
  if (types.isGeneratorFunction(current)) {
    throw refusal(
      `${where} is a generator, whose body runs only when somebody iterates: remove the asterisk, and await what it yields, or return an Observable.`,
    );
  }
  const index = firstDecoratedParameter(handler);
  if (index === undefined || hasOtherEntrance([current, handler.metadata.decorated])) return;
  throw refusal(
    `${where} has a decorator on its parameter ${index}, which only Nest's routes and message handlers know: ` +
      `a handler gets ${ARGUMENTS[handler.metadata.kind]}. Remove it; pipes stand on the method: @UsePipes(new ValidationPipe()).`,
  );
}

function firstDecoratedParameter({ host, method }: DiscoveredHandler): number | undefined {
  const owner = ownerOf(Object.getPrototypeOf(host.instance) as object, method)!;
  const parameters = Reflect.getOwnMetadata(PARAMETERS, owner.constructor, method) as
    Readonly<Record<string, { readonly index: number }>> | undefined;
  return Object.values(parameters ?? {})
    .map(({ index }) => index)
    .toSorted((one, other) => one - other)[0];
}

function hasOtherEntrance(methods: readonly object[]): boolean {
  return methods.some((method) => OTHER_ENTRANCES.some((key) => Reflect.hasMetadata(key, method)));
}

function refusal(message: string): PgNotifyError {
  return new PgNotifyError('configuration', message);
}
