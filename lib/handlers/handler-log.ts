import type { PgNotifyLogger } from '../pg-notify.logger.js';
import type { DiscoveredHandler } from './handler-discovery.js';
import { describeDecorator } from './handler-metadata.js';

/** The number of handlers that are logged with a line each. */
const MAX_LINES = 100;

/**
 * Logs which method handles which channel, as Nest logs its routes, and warns of a class that handles a channel on
 * several instances.
 */
export function logHandlers(handlers: readonly DiscoveredHandler[], logger: PgNotifyLogger): void {
  for (const { metadata, label } of handlers.slice(0, MAX_LINES)) {
    logger.log(`Mapped ${describeDecorator(metadata)} to ${label}`);
  }
  const others = handlers.length - MAX_LINES;
  if (others > 0) logger.log(`Mapped ${others} more handlers; stats().handlers has all of them`);
  for (const warning of duplicatesIn(handlers)) logger.warn(warning);
}

/** Returns a warning for each class with several instances that handle the same channels. */
function* duplicatesIn(handlers: readonly DiscoveredHandler[]): Generator<string> {
  for (const ofClass of groupBy(handlers, ({ host }) => (host.instance as object).constructor).values()) {
    const uses = groupBy(ofClass, (handler) => `${describeDecorator(handler.metadata)} ${handler.method}`);
    const repeated = [...uses.values()].filter((use) => instancesOf(use) > 1);
    const [first] = repeated;
    if (!first) continue;
    const count = instancesOf(first);
    const labels = [...new Set(repeated.map(([handler]) => handler!.label))].slice(0, 10);
    const modules = [...new Set(first.map(({ host }) => host.host?.name))];
    yield (
      `${first[0]!.label.split('.')[0]} has ${count} instances that are handlers of the same channels (${labels.join(', ')}; in ${modules.join(', ')}): ` +
      `each notification is handled ${count} times. Provide it in one module that exports it, and import that module, unless this is what you want.`
    );
  }
}

function instancesOf(use: readonly DiscoveredHandler[]): number {
  return new Set(use.map(({ host }) => host)).size;
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => unknown): Map<unknown, T[]> {
  const groups = new Map<unknown, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
