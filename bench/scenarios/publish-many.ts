import { publishScenario } from '../sending/publish-scenario.js';

export default publishScenario({
  name: 'publish-many',
  measures:
    'One caller that sends arrays of 20,000. The floor sends 1,000 a statement, in the fastest form for one channel',
  callers: 1,
  what: 'many',
  senders: ['pg client, one channel a statement', 'nest-pg-notify', 'pg pool of 10'],
  targets: [{ contestant: 'nest-pg-notify', figure: 'rate', ratio: 0.9 }],
  cannot: { 'pg-listen, pg-pubsub, postgres.js, nestjs-pg-notify': 'they take one payload at a time' },
});
