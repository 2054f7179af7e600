import { burstScenario } from '../receivers/burst-scenario.js';

export default burstScenario('burst-100k', 100_000, true);
