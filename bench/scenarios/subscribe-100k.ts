import { subscribeScenario } from '../channels/subscribe-scenario.js';

export default subscribeScenario('subscribe-100k', 100_000, 2);
