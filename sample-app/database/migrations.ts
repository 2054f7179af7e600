import { eventLog } from 'nest-pg-notify/events';
import { notifyTrigger } from 'nest-pg-notify/triggers';
import { jobTrigger, mailTrigger, orderTrigger, productTrigger } from './triggers.js';

export interface Migration {
  /**
   * Never changes once it was applied somewhere; nor does the SQL, except for triggers: where their options change, or
   * nest-pg-notify makes other SQL of them, a further migration runs it again.
   */
  readonly name: string;
  readonly sql: string;
}

/** In the order in which they are applied; new ones go to the end. */
export const migrations: readonly Migration[] = [
  {
    name: '001-shop',
    sql: `
      CREATE TABLE products (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        price integer NOT NULL CHECK (price > 0)
      );

      CREATE TABLE orders (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        region text NOT NULL CHECK (region ~ '^[a-z]{2,16}$'),
        amount integer NOT NULL CHECK (amount > 0),
        status text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'shipped', 'cancelled')),
        created_at timestamptz NOT NULL DEFAULT now()
      );

      CREATE TABLE jobs (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind text NOT NULL,
        order_id integer NOT NULL REFERENCES orders ON DELETE CASCADE,
        created_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz
      );
    `,
  },
  {
    name: '003-product-changes',
    sql: `
      INSERT INTO products (name, price) VALUES ('Coffee beans', 14), ('Grinder', 89), ('Kettle', 42);
    `,
  },
  {
    name: '004-job-queue',
    sql: 'CREATE INDEX jobs_to_do ON jobs (id) WHERE finished_at IS NULL',
  },
  {
    // In place of the triggers that 002 to 004 once made by hand, on databases that have them.
    name: '005-triggers',
    sql: `
      DROP FUNCTION IF EXISTS notify_order_event, notify_product_change, wake_workers CASCADE;
      ${[orderTrigger, productTrigger].map((trigger) => notifyTrigger(trigger).up).join('\n')}
    `,
  },
  {
    name: '006-attempts-at-jobs',
    sql: `
      ALTER TABLE jobs
        ALTER COLUMN order_id DROP NOT NULL,
        ADD COLUMN attempts integer NOT NULL DEFAULT 0,
        ADD COLUMN failed_at timestamptz,
        ADD COLUMN last_error text;
      DROP INDEX jobs_to_do;
      CREATE INDEX jobs_to_do ON jobs (attempts, id) WHERE finished_at IS NULL AND failed_at IS NULL;
      ${notifyTrigger(jobTrigger).up}
    `,
  },
  {
    name: '007-mail',
    sql: `
      ${eventLog().up};

      CREATE TABLE mails (
        message_id uuid PRIMARY KEY,
        order_id integer NOT NULL,
        subject text NOT NULL,
        sent_at timestamptz NOT NULL DEFAULT now()
      );

      CREATE TABLE mail_server (failure_rate real NOT NULL CHECK (failure_rate BETWEEN 0 AND 1));
      INSERT INTO mail_server VALUES (0.05);

      ${notifyTrigger(mailTrigger).up}
    `,
  },
];
