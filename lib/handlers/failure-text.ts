import { withoutValues } from '../channel/without-values.js';
import { messageOf } from '../pg-notify.errors.js';

/** How many messages of one exception are printed. */
const MAX_MESSAGES = 5;

/**
 * What a handler threw, for a message. Nest's validation pipes say what they have found in the response of their exception
 * alone; these messages may quote the payload, whose values are left out.
 *
 * @param given What the handler was called with.
 */
export function failureText(thrown: unknown, given: unknown): string {
  const messages = responseMessagesOf(thrown);
  if (messages.length === 0) return messageOf(thrown);
  const others = messages.length - MAX_MESSAGES;
  const listed = [...messages.slice(0, MAX_MESSAGES), ...(others > 0 ? [`and ${others} more`] : [])];
  return `${messageOf(thrown)}: ${withoutValues(listed.join('; '), given)}`;
}

function responseMessagesOf(thrown: unknown): readonly string[] {
  try {
    const exception = thrown as { readonly getResponse: () => { readonly message?: unknown } };
    const { message } = exception.getResponse();
    return Array.isArray(message) ? message.map(String) : [];
  } catch {
    return []; // Not an exception of Nest's.
  }
}
