import { deliveryScenario } from '../receivers/delivery-scenario.js';

export default deliveryScenario({
  name: 'deliver-text',
  measures: 'CPU time of the receiving process for each message of 38 bytes that stays text, 1,000 a statement',
  decode: 'text',
  shape: { before: '', after: ' is a number of thirty-eight by' },
  count: 200_000,
  ratios: { 'nest-pg-notify, handler': 0.9, 'nest-pg-notify, async handler': 0.65, 'nest-pg-notify, Observable': 0.9 },
});
