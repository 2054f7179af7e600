import { expect } from '@jest/globals';
import { PgNotifyError } from 'nest-pg-notify';

/** What a promise rejects with; fails when it resolves. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new Error(`Nothing was rejected: it resolved with ${String(value)}.`);
    },
    (error: unknown) => error,
  );
}

/** The PgNotifyError that some work fails with, at once or later; fails when it succeeds, or fails with another error. */
export async function failureOf(work: Promise<unknown> | (() => unknown)): Promise<PgNotifyError> {
  const error = await rejection(typeof work === 'function' ? Promise.resolve().then(work) : work);
  expect(error).toBeInstanceOf(PgNotifyError);
  return error as PgNotifyError;
}

/** In a word, how a call of `notify()` ended: `sent`, else the outcome of its failure, else its kind. */
export function outcomeOf(call: Promise<void>): Promise<string> {
  return call.then(
    () => 'sent',
    ({ outcome, kind }: PgNotifyError) => outcome ?? kind,
  );
}
