/** One connection that listens to many channels. */
export interface ManyChannels {
  /** Begins to listen to these channels too, with one consumer each; resolves when the server has acknowledged all. */
  listen(channels: readonly string[]): Promise<void>;
  /** Adds one consumer to a channel, at once. Returns what removes it. */
  readonly subscribe?: (channel: string) => () => void;
  /** Resolves when the server knows of all that was subscribed. */
  settled?(): Promise<void>;
  /** How often the connection was lost and made anew, as the library reports it. */
  reconnects?(): number;
}

/** Connects and listens to the channels. `onMessage` is called for each notification. */
export type ConnectMany = (
  url: string,
  channels: readonly string[],
  onMessage?: (channel: string, payload: unknown) => void,
) => Promise<ManyChannels>;
