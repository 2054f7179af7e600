import { splitVerdict } from '../listener/delivery-verdict.js';
import type { PgDeliveryVerdict } from '../listener/delivery-verdict.js';
import type { ConnectionSettings } from '../session/connection-settings.js';
import { createCommandListener, deliveryTimeoutWithin } from './command-listener.js';
import { failedFinding } from './finding.js';
import type { Finding } from './finding.js';

/** Two process ids, which differ behind a pooler: see {@link PgSession.processId}. */
export interface BackendPids {
  readonly announced: number | undefined;
  readonly actual: number;
}

export interface DeliveryEnds {
  readonly connection: ConnectionSettings;
  /** The connection to send on. */
  readonly publisher: ConnectionSettings;
  /** Milliseconds. */
  readonly timeout: number;
}

/**
 * Listens as an application would, and sends from a second connection. The outcome shows whether LISTEN works here, and
 * what kind of pooler is in between. It leaves no connection open.
 */
export async function checkDelivery(
  { connection, publisher, timeout }: DeliveryEnds,
  pids: BackendPids,
): Promise<readonly Finding[]> {
  const begun = performance.now();
  const listener = createCommandListener({
    connection,
    publisher,
    options: {
      startup: { mode: 'fail', timeout },
      connectTimeout: timeout,
      publisher: { timeout },
      deliveryCheck: { timeout: deliveryTimeoutWithin(timeout), onStartFailure: 'warn' },
    },
  });
  try {
    await listener.start();
    const { delivery } = listener.currentStatus;
    const duration = Math.round(performance.now() - begun);
    return delivery ? [poolerFinding(delivery, pids), deliveryFinding(delivery, pids, duration)] : [];
  } catch (error) {
    // Without a failure it was a timeout, for which the module would suggest its own option.
    const { lastFailure } = listener.currentStatus;
    return [failedFinding('delivery', 'problem', lastFailure ? error : new Error('LISTEN was not answered in time.'))];
  } finally {
    await listener.stop();
  }
}

/** More time does not help if the second connection waits for the first. */
const NO_SECOND_CONNECTION =
  'Whether notifications arrive was not found out in time. Two connections at a time are needed: raise the size of the pool ' +
  '(PgBouncer: default_pool_size) if it has but one, or give it more time: --timeout.';
const NO_TIME = 'Whether notifications arrive was not found out in time. Give it more: --timeout.';

function deliveryFinding(
  { verdict, message }: PgDeliveryVerdict,
  { announced, actual }: BackendPids,
  duration: number,
): Finding {
  const check = 'delivery';
  if (verdict === 'verified') {
    const proof = `A notification that was sent from a second connection has arrived; to connect twice and prove it took ${duration} ms.`;
    return { check, level: 'ok', message: proof };
  }
  const { problem, remedy } = splitVerdict(message ?? (announced === actual ? NO_TIME : NO_SECOND_CONNECTION));
  return {
    check,
    level: 'problem',
    message: problem,
    remedy:
      remedy ?? 'Without this nobody knows whether notifications arrive: remove what stands in the way, and ask again.',
  };
}

function poolerFinding(
  { verdict, cause, message = '' }: PgDeliveryVerdict,
  { announced, actual }: BackendPids,
): Finding {
  const check = 'pooler';
  if (announced === actual) {
    return { check, level: 'ok', message: `No sign of one: statements run in the backend ${actual}, as announced.` };
  }
  if (cause === 'transaction-pooler') {
    const { remedy = '' } = splitVerdict(message);
    const mode = 'A pooler in transaction or statement mode, where LISTEN stays with a connection that others use.';
    return { check, level: 'problem', message: mode, remedy };
  }
  const evidence = `it announced the backend ${announced}, and statements run in ${actual}`;
  if (verdict === 'verified') {
    return { check, level: 'ok', message: `A pooler (${evidence}) in session mode: notifications arrive.` };
  }
  const unknown = `A pooler (${evidence}), whose mode is not known.`;
  return {
    check,
    level: 'warning',
    message: unknown,
    remedy: 'LISTEN needs session mode (PgBouncer: pool_mode=session).',
  };
}
