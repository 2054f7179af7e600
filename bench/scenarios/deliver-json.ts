import { deliveryScenario } from '../receivers/delivery-scenario.js';

export default deliveryScenario({
  name: 'deliver-json',
  measures:
    'CPU time of the receiving process for each message of 38 bytes that is JSON and gets parsed, 1,000 a statement',
  decode: 'json',
  shape: { before: '{"seq":', after: ',"kind":"updated","x":1}' },
  count: 200_000,
  ratios: { 'nest-pg-notify, handler': 1, 'nest-pg-notify, async handler': 0.75, 'nest-pg-notify, Observable': 1 },
  quick: true,
});
