import { subscribeScenario } from '../channels/subscribe-scenario.js';

export default subscribeScenario('subscribe-10k', 10_000, 5);
