const NEVER_NOTIFIED = new Int32Array(new SharedArrayBuffer(4));

/** Keeps the event loop from running, as synchronous work does, but leaves the processor to the other tests. */
export function blockEventLoop(milliseconds: number): void {
  Atomics.wait(NEVER_NOTIFIED, 0, 0, milliseconds);
}
