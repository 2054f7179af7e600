import { InstanceProcess } from './instance-process.js';
import { Recorder } from './recorder.js';

/** What the method of an instance does with an event, once it has written the effect of it. */
export type ChildFault =
  /** Reports it, and waits for {@link EventChild.go}. */
  | 'wait'
  /** Reports it, and keeps the event loop from running until there is a file with the name that `gate` says. */
  | 'block'
  /** Ends the process as `kill -9` does. */
  | 'die'
  /** Fails the first time. */
  | 'fail'
  /** Fails until there is a file with the name that `gate` says. */
  | 'fail on'
  /** Fails the first time, and ends the process at any other. */
  | 'fail, then die';

export interface EventChildOptions {
  readonly url: string;
  readonly owner: string;
  /** In milliseconds. */
  readonly lease: number;
  readonly consumer: {
    readonly name: string;
    readonly isTransactional?: boolean;
    readonly ordering?: 'key' | 'none' | 'strict';
    readonly concurrency?: number;
    readonly batch?: { readonly maxSize: number };
    readonly retry?: { readonly attempts: number; readonly delay: number; readonly maxDelay: number };
  };
  readonly pageSize?: number;
  /** By the number of an event. */
  readonly faults?: Readonly<Record<number, ChildFault>>;
  /** Holds for ever, once the event of this number was handled, where it would settle or commit. */
  readonly holds?: { readonly at: 'settle' | 'COMMIT'; readonly after: number };
  readonly gate?: string;
  /** How far off its clock is, in milliseconds. */
  readonly clockOffset?: number;
  /** Writes no effects, but counts, and reports each time that it has handled so many. */
  readonly countsBy?: number;
  /** Bounds its heap, in MB. */
  readonly heap?: number;
}

/**
 * `begun`, `waiting` with the number of an event; `counted`, and `handled` at the end, with how many; `held` where it settles or commits; `refused` and `fenced` with the
 * owner; `failed` with the first failure; `clock` with its time at the start.
 */
export interface ChildFact {
  readonly fact: string;
  readonly value: unknown;
}

/** An instance with one consumer. */
export class EventChild extends InstanceProcess {
  readonly facts: Recorder<ChildFact>;

  constructor(options: EventChildOptions) {
    const facts = new Recorder<ChildFact>();
    super({
      program: 'test/support/event-child-process.ts',
      environment: { EVENT_CHILD: options },
      node: options.heap === undefined ? [] : [`--max-old-space-size=${options.heap}`],
      onLine: (line) => facts.push(JSON.parse(line) as ChildFact),
    });
    this.facts = facts;
  }

  /** Resolves with the value of the first such fact; rejects if the process ends before. */
  async until(...names: readonly string[]): Promise<unknown> {
    const isMeant = ({ fact }: ChildFact): boolean => names.includes(fact);
    await this.before(this.facts.until((facts) => facts.some(isMeant)));
    return this.facts.items.find(isMeant)?.value;
  }

  /** Lets go on what waits. */
  go(): void {
    this.write('go');
  }
}
