/** The options of the queue that Nest's `ClientRMQ` declares, which amqplib takes. */
export interface RmqQueueOptions {
  readonly durable?: boolean;
  readonly exclusive?: boolean;
  readonly autoDelete?: boolean;
  readonly maxLength?: number;
  readonly messageTtl?: number;
  readonly expires?: number;
  readonly overflow?: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
}

/** Why a queue could lose messages that it has taken; undefined if it could not. */
export function weaknessOfQueue(options: RmqQueueOptions): string | undefined {
  const { durable = true, exclusive, autoDelete } = options;
  if (!durable) {
    return 'its queue has queueOptions.durable false, and is gone with its messages when RabbitMQ restarts. Write durable: true.';
  }
  const deleted = exclusive ? 'exclusive' : autoDelete ? 'autoDelete' : undefined;
  if (deleted) return `its queue has queueOptions.${deleted}, and is deleted with its messages. Leave it out.`;
  const expires = writtenAs(options, 'expires', 'x-expires');
  if (expires) {
    return `its queue has ${expires}, and is deleted with its messages when nobody has used it for that time. Leave it out.`;
  }
  // A dead-letter exchange is no remedy: RabbitMQ hands messages to it without waiting for a confirmation.
  const ttl = writtenAs(options, 'messageTtl', 'x-message-ttl');
  if (ttl) return `its queue has ${ttl}, and RabbitMQ drops what nobody has taken by then. Leave it out.`;
  return weaknessOfLength(options);
}

function weaknessOfLength(options: RmqQueueOptions): string | undefined {
  const limit = writtenAs(options, 'maxLength', 'x-max-length') ?? writtenAs(options, undefined, 'x-max-length-bytes');
  if (!limit) return undefined;
  const { overflow = options.arguments?.['x-overflow'], arguments: { 'x-queue-type': type } = {} } = options;
  // A stream keeps what was read, so it must be limited: its readers have to keep up, as those of a Kafka topic.
  if (type === 'stream' || (typeof overflow === 'string' && overflow.startsWith('reject-publish'))) return undefined;
  return (
    `its queue has ${limit}, and RabbitMQ drops the oldest messages when it is full. ` +
    "Write arguments: { 'x-overflow': 'reject-publish' } beside it."
  );
}

/** How an option is written: by amqplib's name for it, or as the argument that RabbitMQ takes. */
function writtenAs(
  { arguments: given = {}, ...options }: RmqQueueOptions,
  option: keyof typeof options | undefined,
  argument: string,
): string | undefined {
  if (option && options[option] !== undefined) return `queueOptions.${option}`;
  return given[argument] === undefined ? undefined : `queueOptions.arguments['${argument}']`;
}
