/** The names of the channels that messages are spread over: the message n goes to the one of its remainder. */
export function channelsOf(channel: string, count = 1): string[] {
  return count === 1 ? [channel] : Array.from({ length: count }, (_, index) => `${channel}_${index}`);
}
