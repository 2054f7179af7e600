import type { ListenerRoutes } from '../listener/listener-front.js';
import type { ListenerLogger } from '../listener/status-reporter.js';
import type { TransportRoutes } from './pg-notify-transport.js';

/** Where the listener of a registration reports to. */
export function listenerRoutes(
  logger: ListenerLogger,
  { errors, diagnostics }: Pick<TransportRoutes, 'errors' | 'diagnostics'>,
): ListenerRoutes {
  return {
    logger,
    onError: (error) => errors.report(error),
    onFailure: (error) => errors.tell(error),
    diagnostics,
  };
}
