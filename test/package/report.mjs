/** Runs checks, prints a line for each and counts them. */
export class Report {
  #passed = 0;
  #failed = 0;

  /**
   * Resolves to false when the check failed; its error is printed then. What the action returns is printed behind the
   * name.
   */
  async check(name, action) {
    const start = performance.now();
    try {
      const details = await action();
      this.#passed += 1;
      print('ok  ', details ? `${name}: ${details}` : name, start);
      return true;
    } catch (error) {
      this.#failed += 1;
      print('FAIL', name, start);
      process.stdout.write(`${indent(String(error?.message ?? error))}\n`);
      return false;
    }
  }

  /** Prints the totals and settles the exit code. */
  summarize() {
    process.stdout.write(`${this.#passed} passed, ${this.#failed} failed\n`);
    process.exitCode = this.#failed > 0 ? 1 : 0;
  }
}

function print(outcome, text, start) {
  process.stdout.write(`${outcome} ${text} (${((performance.now() - start) / 1_000).toFixed(1)} s)\n`);
}

function indent(text) {
  return text.trimEnd().replace(/^/gm, '     | ');
}
