const WIDTH = 30;

/** Shows how far something is: on a terminal in one line, which is written anew; elsewhere as a line now and then. */
export class ProgressBar {
  private shownAt = 0;

  constructor(private readonly output: NodeJS.WriteStream) {}

  /** @param done From 0 to 1. */
  show(done: number, text: string): void {
    const filled = Math.round(Math.min(done, 1) * WIDTH);
    const bar = `[${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)}] ${String(Math.floor(done * 100)).padStart(3)} % ${text}`;
    if (this.output.isTTY) this.output.write(`\r${bar}\u001B[K`);
    else if (Date.now() - this.shownAt >= 10_000) {
      this.shownAt = Date.now();
      this.output.write(`${bar}\n`);
    }
  }

  end(): void {
    if (this.output.isTTY) this.output.write('\n');
  }
}
