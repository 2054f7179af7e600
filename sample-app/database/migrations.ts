export interface Migration {
  /** Never changes once it was applied somewhere; nor does the SQL. */
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
    // The payload is a hint and stays small whatever a row holds: a payload of 8,000 bytes would fail the user's write.
    // The search_path keeps whoever writes orders from putting a function of theirs in the place of one called here.
    name: '002-order-events',
    sql: `
      CREATE FUNCTION notify_order_event() RETURNS trigger
      LANGUAGE plpgsql
      SET search_path = pg_catalog, pg_temp
      AS $$
      BEGIN
        PERFORM pg_catalog.pg_notify(
          'order_events',
          pg_catalog.json_build_object(
            'op', pg_catalog.lower(TG_OP),
            'id', NEW.id,
            'region', NEW.region,
            'amount', NEW.amount,
            'status', NEW.status
          )::text
        );
        RETURN NULL;
      END
      $$;

      CREATE TRIGGER notify_order_event
      AFTER INSERT OR UPDATE ON orders
      FOR EACH ROW EXECUTE FUNCTION notify_order_event();
    `,
  },
  {
    name: '003-product-changes',
    sql: `
      CREATE FUNCTION notify_product_change() RETURNS trigger
      LANGUAGE plpgsql
      SET search_path = pg_catalog, pg_temp
      AS $$
      BEGIN
        PERFORM pg_catalog.pg_notify(
          'product_changes',
          pg_catalog.json_build_object('op', pg_catalog.lower(TG_OP), 'id', COALESCE(NEW.id, OLD.id))::text
        );
        RETURN NULL;
      END
      $$;

      CREATE TRIGGER notify_product_change
      AFTER INSERT OR UPDATE OR DELETE ON products
      FOR EACH ROW EXECUTE FUNCTION notify_product_change();

      INSERT INTO products (name, price) VALUES ('Coffee beans', 14), ('Grinder', 89), ('Kettle', 42);
    `,
  },
  {
    // One wake-up for a statement, however many jobs it adds: it carries nothing.
    name: '004-job-queue',
    sql: `
      CREATE INDEX jobs_to_do ON jobs (id) WHERE finished_at IS NULL;

      CREATE FUNCTION wake_workers() RETURNS trigger
      LANGUAGE plpgsql
      SET search_path = pg_catalog, pg_temp
      AS $$
      BEGIN
        PERFORM pg_catalog.pg_notify('job_queue', '');
        RETURN NULL;
      END
      $$;

      CREATE TRIGGER wake_workers
      AFTER INSERT ON jobs
      FOR EACH STATEMENT EXECUTE FUNCTION wake_workers();
    `,
  },
];
