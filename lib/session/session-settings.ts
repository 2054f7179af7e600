/**
 * What a session that only listens asks of its server, by SET after connect: poolers refuse unknown startup
 * parameters. Values are as in postgresql.conf.
 *
 * - A quiet listener must not be ended for being idle, nor a heartbeat be cancelled by a timeout of its role: this
 *   module has deadlines of its own.
 * - TCP settings let the server notice within about ten seconds that its listener is gone, where its defaults take two
 *   hours.
 *
 * Source: https://www.postgresql.org/docs/current/runtime-config-client.html and runtime-config-connection.html
 */
const SETTINGS: Readonly<Record<string, string>> = {
  idle_session_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  transaction_timeout: '0',
  statement_timeout: '0',
  lock_timeout: '0',
  tcp_keepalives_idle: '5s',
  tcp_keepalives_interval: '2s',
  tcp_keepalives_count: '2',
  tcp_user_timeout: '10s',
};

/** Sets what this server knows; older versions lack some. */
export const APPLY_SETTINGS = `SELECT pg_catalog.count(pg_catalog.set_config(known.name, wanted.value, false))
  FROM pg_catalog.jsonb_each_text($1::jsonb) AS wanted(name, value)
  JOIN pg_catalog.pg_settings AS known ON known.name OPERATOR(pg_catalog.=) wanted.name`;

export const SETTINGS_PARAMETER = JSON.stringify(SETTINGS);
