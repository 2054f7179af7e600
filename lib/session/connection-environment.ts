import { PgNotifyError } from '../pg-notify.errors.js';
import { isPort, problemOfHost } from './connection-host.js';
import { checkChannelBinding, checkSslMode } from './libpq-parameters.js';

/** The parts that the settings of a connection contain. `pg` takes the rest from the environment. */
export interface GivenSettings {
  readonly hasHost: boolean;
  readonly hasPort: boolean;
  readonly hasTls: boolean;
}

/**
 * Checks the variables of libpq that `pg` reads in place of missing settings, and those that it ignores although they
 * decide where a connection goes.
 *
 * @throws PgNotifyError of kind `configuration` with the variable and the remedy.
 */
export function checkEnvironment({ hasHost, hasPort, hasTls }: GivenSettings): {
  readonly channelBinding: string | undefined;
} {
  const { PGHOST, PGHOSTADDR, PGSERVICE, PGPORT, PGSSLMODE, PGCHANNELBINDING } = process.env;
  const check = (name: string, problem: string | undefined): void => {
    if (problem === undefined) return;
    throw new PgNotifyError('configuration', `The variable ${name} ${problem}.`);
  };
  if (!hasHost && PGHOST) check('PGHOST', problemOfHost(PGHOST));
  if (!hasHost && !PGHOST) {
    if (PGHOSTADDR) check('PGHOSTADDR', 'is not read by pg. Set PGHOST to the address');
    if (PGSERVICE) check('PGSERVICE', 'is not read by pg. Set PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE');
  }
  if (!hasPort && PGPORT && !isPort(PGPORT)) check('PGPORT', 'must be a port from 1 to 65535');
  if (!hasTls && PGSSLMODE) check('PGSSLMODE', checkSslMode(PGSSLMODE));
  if (PGCHANNELBINDING) check('PGCHANNELBINDING', checkChannelBinding(PGCHANNELBINDING));
  return { channelBinding: PGCHANNELBINDING };
}
