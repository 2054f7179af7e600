import { InstanceProcess } from './instance-process.js';
import { Recorder } from './recorder.js';

export interface EventReaderChildOptions {
  readonly url: string;
  readonly slot: string;
  /** The name under which it writes its effects. */
  readonly owner: string;
}

/** The reader of a slot, in a process that a test may kill. It writes what it reads into the table `effect`. */
export class EventReaderChild extends InstanceProcess {
  /** The number of events of each transaction that it has written down; it may not have acknowledged the last one. */
  readonly written: Recorder<number>;

  constructor(options: EventReaderChildOptions) {
    const written = new Recorder<number>();
    super({
      program: 'test/support/event-reader-process.ts',
      environment: { EVENT_READER: options },
      onLine: (line) => written.push(Number(line)),
    });
    this.written = written;
  }

  /** Resolves when it has written so many transactions; rejects if it ends before. */
  async untilWritten(transactions: number): Promise<void> {
    await this.before(this.written.until(transactions));
  }
}
