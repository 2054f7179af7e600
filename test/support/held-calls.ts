import { Recorder } from './recorder.js';

/** Calls that begin when they are made, and end when the test lets them. */
export class HeldCalls<T = unknown> {
  readonly begun = new Recorder<T>();
  private readonly ends: ((error?: Error) => void)[] = [];

  readonly run = (argument: T): Promise<void> =>
    new Promise((resolve, reject) => {
      this.ends.push((error) => (error ? reject(error) : resolve()));
      this.begun.push(argument);
    });

  /** How many have not ended. */
  get pending(): number {
    return this.ends.length;
  }

  /** Ends the oldest call. */
  end(error?: Error): void {
    this.ends.shift()!(error);
  }
}
