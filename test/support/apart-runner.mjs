import { availableParallelism } from 'node:os';
import TestRunner from 'jest-runner';

/**
 * Jest's own runner, but with a processor for each file; Jest runs the files of different runners apart from each other.
 */
export default class ApartRunner extends TestRunner {
  constructor(globalConfig, context) {
    super({ ...globalConfig, maxWorkers: Math.min(globalConfig.maxWorkers, availableParallelism()) }, context);
  }
}
