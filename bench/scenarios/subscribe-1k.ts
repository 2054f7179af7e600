import { subscribeScenario } from '../channels/subscribe-scenario.js';

export default subscribeScenario('subscribe-1k', 1_000, 5);
