import type { BatchWaitOptions } from './batch-wait.js';

/** How a handler takes notifications: one at a time, in order, unless one of the modes is chosen. */
export interface HandlerQueueMode {
  /** The number of runs that may be under way at the same time. */
  readonly concurrency: number;
  /** The handler takes several notifications together. */
  readonly batch?: BatchWaitOptions | undefined;
  /** Only the newest notification of each key waits. */
  readonly latest?: ((payload: unknown) => unknown) | undefined;
}

const ONE_BY_ONE: Readonly<Record<keyof HandlerQueueMode, unknown>> = {
  concurrency: 1,
  batch: undefined,
  latest: undefined,
};

/** The names of the modes. At most one may be chosen. */
export const QUEUE_MODES = Object.keys(ONE_BY_ONE) as readonly (keyof HandlerQueueMode)[];

/** The names of the chosen modes. */
export function chosenModes(mode: HandlerQueueMode): readonly string[] {
  return QUEUE_MODES.filter((name) => mode[name] !== ONE_BY_ONE[name]);
}
