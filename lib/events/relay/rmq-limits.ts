/** What AMQP 0-9-1 says of a message beside its content. */
export interface AmqpProperties {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly [property: string]: unknown;
}

/** The longest name or routing key: its length is in one byte. */
const MAX_SHORT_BYTES = 255;
/** amqplib has so much room for all headers of a message. */
const MAX_HEADERS_BYTES = 65_536;
/** What a frame has beside the properties, and what they have beside those that vary. */
const FRAME_BYTES = 8 + 15;

/** Headers by which RabbitMQ delivers a message to other queues as well. */
const ROUTING_HEADERS = ['CC', 'BCC'];

/** @throws TypeError for what AMQP has no room for, and for headers that are instructions for RabbitMQ */
export function checkNames(routingKey: string, headers: AmqpProperties['headers']): void {
  checkLength('the routing key', routingKey);
  for (const name of Object.keys(headers)) {
    if (ROUTING_HEADERS.includes(name)) {
      throw new TypeError(`RabbitMQ takes the header ${name} for queues to deliver to as well`);
    }
    checkLength('the name of a header', name);
  }
}

function checkLength(what: string, text: string): void {
  const size = Buffer.byteLength(text);
  if (size <= MAX_SHORT_BYTES) return;
  throw new TypeError(`${what} has ${size} bytes, and AMQP allows ${MAX_SHORT_BYTES}`);
}

/**
 * RabbitMQ ends the connection for properties that are larger than its frames, and older versions of amqplib write a table that
 * RabbitMQ cannot read if they have no room for it.
 *
 * @param frameMax What client and broker have agreed on.
 * @throws RangeError
 */
export function refuseLargeProperties({ headers, ...others }: AmqpProperties, frameMax = Infinity): void {
  const table = 4 + sizeOfTable(headers);
  const rest = Object.values(others).reduce<number>((sum, value) => sum + sizeOfProperty(value), 0);
  const room = Math.min(MAX_HEADERS_BYTES, frameMax - FRAME_BYTES - rest);
  if (table > room) throw new RangeError(`its headers have ${table} bytes, and there is room for ${room}`);
}

/** Exact for texts. What else a record may have as headers is short. */
function sizeOfTable(headers: AmqpProperties['headers']): number {
  return Object.entries(headers).reduce(
    (sum, [name, value]) =>
      sum + 1 + Buffer.byteLength(name) + (typeof value === 'string' ? 5 + Buffer.byteLength(value) : 9),
    0,
  );
}

function sizeOfProperty(value: unknown): number {
  return typeof value === 'string' ? 1 + Buffer.byteLength(value) : 8;
}
