import { ONLY_RECEIVES, publishScenario, SENDERS_OF_ONE } from '../sending/publish-scenario.js';

export default publishScenario({
  name: 'publish-64',
  measures: '64 callers that each await each call',
  callers: 64,
  what: 'one',
  senders: SENDERS_OF_ONE,
  targets: [
    { contestant: 'nest-pg-notify', figure: 'rate', ratio: 10 },
    { contestant: 'nest-pg-notify', figure: 'rate', ratio: 10, against: 'pg pool of 10' },
  ],
  cannot: ONLY_RECEIVES,
});
