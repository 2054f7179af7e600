import { PgNotifyDiagnostics } from '../../lib/pg-notify.diagnostics.js';
import { PgNotifyErrorRoute } from '../../lib/pg-notify.error-route.js';
import { PgNotifyLogger } from '../../lib/pg-notify.logger.js';
import { TestListener } from '../../lib/testing/test-listener.js';
import { consumerContext } from './consumer-context.js';

/** The listener of a test bus, without a bus: for what listens, and is tested without an application. */
export function createBusListener(): { readonly listener: TestListener; readonly diagnostics: PgNotifyDiagnostics } {
  const diagnostics = new PgNotifyDiagnostics('test');
  const errors = new PgNotifyErrorRoute(new PgNotifyLogger('test'), diagnostics);
  return { listener: new TestListener({ ...consumerContext({ diagnostics }), errors }, () => undefined), diagnostics };
}
