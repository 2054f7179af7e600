import { withoutValues } from '../channel/without-values.js';
import { messageOf } from '../pg-notify.errors.js';

/** The number of messages that are printed of one exception. */
const MAX_MESSAGES = 5;

/**
 * Describes what a handler threw. Nest's validation pipes put their findings only into the response of their exception.
 * These may quote the payload, so its values are left out. It never throws.
 *
 * @param given The arguments of the handler.
 */
export function failureText(thrown: unknown, given: unknown): string {
  const messages = responseMessagesOf(thrown);
  if (messages.length === 0) return messageOf(thrown);
  const others = messages.length - MAX_MESSAGES;
  const listed = [...messages.slice(0, MAX_MESSAGES), ...(others > 0 ? [`and ${others} more`] : [])];
  try {
    return `${messageOf(thrown)}: ${withoutValues(listed.join('; '), given)}`;
  } catch {
    return messageOf(thrown); // A handler has given the payload a property that cannot be read, or it is very deep.
  }
}

function responseMessagesOf(thrown: unknown): readonly string[] {
  try {
    const exception = thrown as { readonly getResponse: () => { readonly message?: unknown } };
    const { message } = exception.getResponse();
    return Array.isArray(message) ? message.map(String) : [];
  } catch {
    return []; // It is not an exception of Nest.
  }
}
