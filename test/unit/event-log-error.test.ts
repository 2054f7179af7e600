import { describe, expect, it } from '@jest/globals';
import { eventLogError } from '../../lib/event-log/event-log-error.js';
import { PgNotifyError } from '../../lib/pg-notify.errors.js';

describe('eventLogError()', () => {
  it.each([
    ['function pg_notify', 'GRANT EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) TO …;'],
    ['function pg_control_system', 'GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO …;'],
    ['function pg_current_snapshot', 'GRANT EXECUTE ON FUNCTION pg_catalog.pg_current_snapshot TO …;'],
    ['function version', 'GRANT USAGE ON SCHEMA "nest_events" TO …;'],
    ['schema nest_events', 'GRANT USAGE ON SCHEMA "nest_events" TO …;'],
  ])('names the GRANT that a role lacks on the %s', (what, grant) => {
    const refused = new PgNotifyError('connection', `db:5432: permission denied for ${what}`, { sqlState: '42501' });
    expect(eventLogError(refused, 'nest_events')).toMatchObject({
      kind: 'configuration',
      sqlState: '42501',
      message: expect.stringContaining(`permission denied for ${what} Run as the owner: ${grant}`),
    });
  });

  it('names what lets a role publish that a policy keeps from it', () => {
    const problem = 'db:5432: new row violates row-level security policy for table "event"';
    const refused = new PgNotifyError('connection', problem, { sqlState: '42501' });
    expect(eventLogError(refused, 'nest_events')).toMatchObject({
      message: expect.stringContaining('ALTER TABLE "nest_events".event DISABLE ROW LEVEL SECURITY;'),
    });
  });
});
