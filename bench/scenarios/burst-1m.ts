import { burstScenario } from '../receivers/burst-scenario.js';

export default burstScenario('burst-1m', 1_000_000, false);
