/** Nanoseconds of the machine's monotonic clock, which all its processes share. */
export function monotonic(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e9 + nanoseconds;
}
