import TestRunner from 'jest-runner';

/** Jest's own runner, but for one file after the other; Jest runs the files of different runners apart from each other. */
export default class SerialRunner extends TestRunner {
  isSerial = true;
}
