import { PgNotifyError } from '../pg-notify.errors.js';

/** The log does not know the consumer: nobody works for it until an application registers it at its start. */
export class UnknownConsumer extends PgNotifyError {
  constructor() {
    super(
      'configuration',
      'the log does not know it any more, because it was dropped, or the tables were made anew. Start the application anew to register it; it begins then where its option from says.',
    );
  }
}

/**
 * An instance of another version has registered the consumer with channels that this one does not take. It must not own it:
 * events of these channels would be passed over.
 */
export class OtherChannels extends Error {
  constructor(registered: readonly string[], own: readonly string[]) {
    const missing = registered.filter((channel) => !own.includes(channel)).map((channel) => JSON.stringify(channel));
    super(
      `another version of the application has given it the channels ${missing.join(', ')}, which this instance does not take. It is left to instances of that version; start this one anew if there are none any more.`,
    );
  }
}
