/** The numbers from 0 up to, not including, `count`. */
export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
