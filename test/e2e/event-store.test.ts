import { describe } from '@jest/globals';
import { eventLogSuite } from '../support/event-log-suite.js';
import { eventStoreContract } from '../support/event-store-contract.js';

describe('on PostgreSQL', () => {
  const suite = eventLogSuite();
  eventStoreContract('on PostgreSQL', async () => ({ store: suite.store, publish: suite.publish }));
});
