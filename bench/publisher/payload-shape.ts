/** Numbers begin here, so that all of a run have the same length. */
export const FIRST = 1_000_000;

/** A payload is `before`, the number of seven digits, `after`. */
export interface PayloadShape {
  readonly before: string;
  readonly after: string;
}
