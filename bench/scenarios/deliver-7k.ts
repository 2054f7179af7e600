import { deliveryScenario } from '../receivers/delivery-scenario.js';

export default deliveryScenario({
  name: 'deliver-7k',
  measures:
    'CPU time of the receiving process for each message of 7,500 bytes that is JSON and gets parsed, 100 a statement',
  decode: 'json',
  shape: { before: '{"seq":', after: `,"text":"${'lorem ipsum '.repeat(623).slice(0, 7_475)}"}` },
  count: 20_000,
  perStatement: 100,
  ratios: { 'nest-pg-notify, handler': 1.3, 'nest-pg-notify, async handler': 1.3, 'nest-pg-notify, Observable': 1.3 },
});
