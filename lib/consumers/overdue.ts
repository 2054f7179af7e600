/**
 * Makes the failure of a run that has exceeded its timeout, and aborts the run's signal with it. It does so in a
 * microtask: the run must count as failed even if it ends as soon as its signal is aborted.
 *
 * @param timeout In milliseconds.
 */
export function abortOverdue(run: AbortController, timeout: number): Error {
  const error = new Error(`It took longer than its timeout of ${timeout} ms.`);
  queueMicrotask(() => run.abort(error));
  return error;
}
