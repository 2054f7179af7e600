import { PgNotifyError } from '../pg-notify.errors.js';

/** The consumer is not registered in the log. An application registers its consumers when it starts. */
export class UnknownConsumer extends PgNotifyError {
  constructor() {
    super(
      'configuration',
      'the log does not know it any more, because it was dropped or the tables were created again. Restart the application to register it; it then begins where its option from says.',
    );
  }
}

/**
 * Another version of the application has registered the consumer with channels that this instance does not take. This instance
 * must not own a shard, because it would skip the events of those channels.
 */
export class OtherChannels extends Error {
  constructor(registered: readonly string[], own: readonly string[]) {
    const missing = registered.filter((channel) => !own.includes(channel)).map((channel) => JSON.stringify(channel));
    super(
      `another version of the application has given it the channels ${missing.join(', ')}, which this instance does not take. Instances of that version handle it; if none are left, restart this one.`,
    );
  }
}
