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
export const LISTENING_SETTINGS: Readonly<Record<string, string>> = {
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

/** Comes first, on its own: a role's timeout may be shorter than the statement that sets all takes. */
export const LIFT_STATEMENT_TIMEOUT = 'SET statement_timeout = 0';

/**
 * Sets what this server knows; older versions lack some. A database without an encoding takes and keeps any bytes, and
 * ends a session that asked for UTF-8 with the first notification that is none: there, bytes are sent as they are.
 */
export const APPLY_SETTINGS = `SELECT pg_catalog.count(pg_catalog.set_config(known.name, wanted.value, false))
  FROM (SELECT * FROM pg_catalog.jsonb_each_text($1::jsonb)
    UNION ALL
    SELECT 'client_encoding', 'SQL_ASCII' WHERE pg_catalog.current_setting('server_encoding') OPERATOR(pg_catalog.=) 'SQL_ASCII'
  ) AS wanted(name, value)
  JOIN pg_catalog.pg_settings AS known ON known.name OPERATOR(pg_catalog.=) wanted.name`;

export const SETTINGS_PARAMETER = JSON.stringify(LISTENING_SETTINGS);
