/** The consumers of the nemesis: each kind of work, and each kind of failure. */
export interface NemesisConsumer {
  readonly name: string;
  readonly transactional?: boolean;
  readonly batch?: { readonly maxSize: number };
  readonly concurrency?: number;
  readonly ordering?: 'strict';
  readonly shards?: number;
  readonly pageSize?: number;
  /** How often a run fails before it has done anything, of 1. */
  readonly fails?: number;
  /** How often a run fails after it has done its work, of 1. */
  readonly failsAfter?: number;
}

export const NEMESIS_CONSUMERS: readonly NemesisConsumer[] = [
  { name: 'tx', transactional: true, pageSize: 50 },
  { name: 'txbatch', transactional: true, batch: { maxSize: 100 }, failsAfter: 0.05 },
  { name: 'tiny', transactional: true, batch: { maxSize: 7 } },
  { name: 'plain', concurrency: 8, pageSize: 100 },
  { name: 'flaky', concurrency: 4, pageSize: 50, fails: 0.05 },
  { name: 'flakytx', transactional: true, pageSize: 50, fails: 0.03, failsAfter: 0.02 },
  { name: 'strict', ordering: 'strict', pageSize: 100, fails: 0.01 },
  { name: 'sharded', shards: 3, concurrency: 2, pageSize: 50 },
];

export const NEMESIS_LEASE = 1_500;
