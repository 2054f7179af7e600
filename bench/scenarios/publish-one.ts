import { ONLY_RECEIVES, publishScenario, SENDERS_OF_ONE } from '../sending/publish-scenario.js';

export default publishScenario({
  name: 'publish-one',
  measures: 'One caller that awaits each call',
  callers: 1,
  what: 'one',
  senders: SENDERS_OF_ONE,
  targets: [{ contestant: 'nest-pg-notify', figure: 'rate', ratio: 0.9 }],
  cannot: ONLY_RECEIVES,
});
