import { InstanceProcess } from '../../support/instance-process.js';
import { Recorder } from '../../support/recorder.js';
import type { RoadName } from './roads.js';

export interface RelayChildOptions {
  /** Of the database. */
  readonly url: string;
  readonly brokerUrl: string;
  readonly road: RoadName;
  /** In milliseconds: how long another instance waits for one that was killed. */
  readonly lease: number;
}

/** `ready` when it runs, and `forwarded` each time that its method has succeeded. */
export type RelayFact = 'ready' | 'forwarded';

/** An application with a relay. `kill()` it, also if it is never ready. */
export class RelayChild extends InstanceProcess {
  readonly facts: Recorder<RelayFact>;

  constructor(options: RelayChildOptions) {
    const facts = new Recorder<RelayFact>();
    super({
      program: 'test/brokers/support/relay-process.ts',
      environment: { BROKER_RELAY: options },
      onLine: (line) => facts.push(line as RelayFact),
    });
    this.facts = facts;
  }

  /** Resolves when its consumer runs. */
  async ready(): Promise<void> {
    await this.before(this.facts.until(1));
  }

  get forwarded(): number {
    return this.facts.items.filter((fact) => fact === 'forwarded').length;
  }
}
