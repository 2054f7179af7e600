/** Never run: the compiler must accept this, and must see a mistake wherever one is announced. */
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import { flag, milliseconds, optional, orElse } from '../../lib/option-checks.js';
import type { Checked, ChecksOf } from '../../lib/option-checks.js';

interface Options {
  readonly delay?: number;
  readonly isQuiet?: boolean;
}

const all = { delay: orElse(5, milliseconds()), isQuiet: optional(flag) } satisfies ChecksOf<Options>;
export const read: Checked<typeof all> = { delay: 5, isQuiet: undefined };

// @ts-expect-error An option without a check would be refused as unknown.
export const missing = { delay: orElse(5, milliseconds()) } satisfies ChecksOf<Options>;

export const surplus = {
  ...all,
  // @ts-expect-error A check without an option would let pass what does nothing.
  isLoud: optional(flag),
} satisfies ChecksOf<Options>;

export const asleep: PgNotifyModuleOptions = {
  connection: 'postgres://localhost/shop',
  heartbeat: { interval: 3_600_000, timeout: 5_000, compareInterval: 3_600_000 },
};

export const options: PgNotifyModuleOptions = {
  connection: 'postgres://localhost/shop',
  // @ts-expect-error Of the options of the module the compiler sees these mistakes where they are written out.
  heartbeat: { intervall: 5 },
};
