import { WebhookEndpoint } from './support/webhook-endpoint.js';
import { relaySuite } from './support/relay-suite.js';

relaySuite({
  road: 'webhook',
  consumer: 'to-webhook',
  start: () => WebhookEndpoint.start(),
  clients: ['fetch'],
  acknowledgedBy: 'the service, by its answer',
  faults: ['frozen', 'killed', 'restarted', 'relay killed'],
});
