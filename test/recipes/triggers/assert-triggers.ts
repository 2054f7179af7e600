import { checkTrigger } from 'nest-pg-notify/triggers';
import type { Pool } from 'pg';
import { productTrigger } from './product-changes.js';

/** Call it at the start of the application. `pool` is anything that can run a query. */
export async function assertTriggers(pool: Pool, warn: (text: string) => void = console.warn): Promise<void> {
  const { state, problems, warnings } = await checkTrigger(pool, productTrigger);
  if (state !== 'current') throw new Error(problems.join('\n'));
  for (const warning of warnings) warn(warning);
}
