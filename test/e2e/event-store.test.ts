import { eventLogSuite } from '../support/event-log-suite.js';
import { eventStoreContract } from '../support/event-store-contract.js';

const suite = eventLogSuite();
eventStoreContract('on PostgreSQL', async () => ({ store: suite.store, publish: suite.publish }));
