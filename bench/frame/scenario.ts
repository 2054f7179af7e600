import type { Bench } from './bench.js';
import type { SequenceResult } from './sequence-check.js';

/** Which side a contestant is on: what nobody can do without, this library, or somebody else's. */
export type Role = 'floor' | 'ours' | 'peer';

/** Something that is measured. */
export interface Figure {
  readonly label: string;
  readonly unit: string;
  /** Which values are good. It decides which way round a ratio is taken: above 1 is always better than the floor. */
  readonly better: 'less' | 'more';
  /** Whether the ratio to the floor says something. @default true */
  readonly compared?: boolean;
  /** How many digits follow the point. @default 2 */
  readonly digits?: number;
}

/** What one round of one contestant measured. */
export interface Sample {
  /** By the keys of the scenario's figures; one that a contestant does not have is left out. */
  readonly figures: Readonly<Record<string, number>>;
  /** What became of the messages, if numbered messages were sent. */
  readonly sequence?: SequenceResult;
}

export interface Contestant {
  readonly name: string;
  readonly role: Role;
  /** The name of the contestant that it is compared with, if the scenario has several floors. @default the only floor */
  readonly floor?: string;
  /** Measures one round. Child processes that it takes from `bench` are stopped afterwards. */
  readonly measure: (bench: Bench) => Promise<Sample>;
}

/** What a figure should be on a quiet machine. It is reported, and fails nothing. */
export interface Target {
  readonly contestant: string;
  /** A key of the scenario's figures. */
  readonly figure: string;
  /** The ratio to the floor, or to `against`, is to be at least this. */
  readonly ratio?: number;
  /** The contestant that `ratio` refers to. @default the floor */
  readonly against?: string;
  /** The value is to be at most this. */
  readonly atMost?: number;
  /** The value is to be at least this. */
  readonly atLeast?: number;
  /** The value is to exceed the floor's by at most this. */
  readonly aboveFloor?: number;
}

/** One thing to measure, and everybody it is measured for. Each file of `bench/scenarios/` exports one as its default. */
export interface Scenario {
  readonly name: string;
  /** What is measured, in a sentence. */
  readonly measures: string;
  readonly figures: Readonly<Record<string, Figure>>;
  readonly contestants: readonly Contestant[];
  readonly targets: readonly Target[];
  /** Peers that have no part in it, and why. */
  readonly cannot?: Readonly<Record<string, string>>;
  /** Whether `--quick` runs it. @default false */
  readonly quick?: boolean;
  /** How many rounds the floor and ours get; peers get about half. @default 5 */
  readonly rounds?: number;
  /** What the medians say, in sentences. */
  readonly conclude?: (medians: Medians) => readonly string[];
  /** For results that are more than a table: writes files into the folder, and returns Markdown for the report. */
  readonly report?: (medians: Medians, folder: URL) => Promise<readonly string[]>;
}

/** The medians of a scenario, by contestant and figure. */
export type Medians = Readonly<Record<string, Readonly<Record<string, number>>>>;
