/** Something that sends. Both resolve when what they sent is committed. */
export interface Sender {
  readonly send: (channel: string, payload: string) => Promise<unknown>;
  readonly sendMany: (channel: string, payloads: readonly string[]) => Promise<unknown>;
}

export type ConnectSender = (url: string) => Promise<Sender>;
