import { expect } from '@jest/globals';
import type { TestApp } from './test-app.js';

/** Asserts that nothing which was logged holds the password of a URL. */
export function expectNoSecret({ logger }: Pick<TestApp, 'logger'>, url: string): void {
  const { password } = new URL(url);
  if (password === '') return;
  const all = logger.texts().join('\n');
  expect(all).not.toContain(password);
  expect(all).not.toContain(decodeURIComponent(password));
}
