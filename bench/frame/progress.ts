import cliProgress from 'cli-progress';

/** Shows how far a scenario is: as a bar on a terminal, as one line in a log. */
export class Progress {
  private readonly bar = new cliProgress.SingleBar(
    { format: '{scenario} [{bar}] {value}/{total} {contestant}', clearOnComplete: true, hideCursor: true },
    cliProgress.Presets.shades_classic,
  );

  constructor(private readonly scenario: string) {}

  start(turns: number): void {
    if (!process.stdout.isTTY) process.stdout.write(`${this.scenario}: ${turns} measurements\n`);
    this.bar.start(turns, 0, { scenario: this.scenario, contestant: '' });
  }

  next(contestant: string, done: number): void {
    this.bar.update(done, { contestant });
  }

  stop(): void {
    this.bar.stop();
  }
}
