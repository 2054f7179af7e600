import { ONLY_RECEIVES, publishScenario, SENDERS_OF_ONE } from '../sending/publish-scenario.js';

export default publishScenario({
  name: 'publish-same',
  measures: '64 callers that all send the same payload, and await each call',
  callers: 64,
  what: 'same',
  senders: SENDERS_OF_ONE,
  targets: [],
  cannot: ONLY_RECEIVES,
});
