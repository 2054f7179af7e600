import type { PgChannel } from '../channel/pg-channel.js';
import { toPgChannel } from '../channel/pg-channel.js';
import type { PgGap } from '../channel/pg-gap.js';
import { DecodeLane } from './decode-lane.js';
import type { DecodeLaneParts, DeliverySink, Detachment } from './decode-lane.js';

export interface DecodeLanesOptions extends DecodeLaneParts {
  readonly warn: (message: string) => void;
}

/** The decode lanes of one registration: one for each definition of a channel that has consumers. */
export class DecodeLanes {
  /** By definition; a plain name stands for the default definition of its channel. */
  private readonly lanes = new Map<string | PgChannel, DecodeLane>();
  /** Lanes without a consumer, in which something still waits for those that they had. */
  private readonly ending = new Set<DecodeLane>();
  private droppedInClosedLanes = 0;
  /** The channels whose rounded integers were announced. */
  private readonly rounded = new Set<string>();

  constructor(private readonly options: DecodeLanesOptions) {
    // Those that are ending are no consumers of the listener any more: a stop would not reach them.
    const complete = (): void => this.ending.forEach((lane) => lane.complete());
    options.listener.observeGaps({ gap: () => undefined, complete });
  }

  /**
   * Adds a consumer of a channel. The server is told of the first and of the last consumer of a channel.
   */
  attach<T>(channel: string | PgChannel<T, unknown>, sink: DeliverySink<T>): Detachment {
    const lane = this.lanes.get(channel) ?? this.openLane(channel);
    // What is asked of the server for one consumer serves all: it does not belong to the context of the first.
    return this.options.context.run(() => lane.attach(sink as DeliverySink));
  }

  /** Adds a consumer of the gaps of all channels; it begins with a `start` gap for each channel that is covered. */
  attachGaps({ gap: onGap, complete }: Required<Pick<DeliverySink, 'gap' | 'complete'>>): () => void {
    const { listener } = this.options;
    const told = new Map<string, Date>();
    const tell = (gap: PgGap): void => {
      const { channel, until } = gap;
      if (told.get(channel) === until) return;
      const own: PgGap = told.has(channel) ? gap : { channel, reason: 'start', until };
      told.set(channel, until);
      onGap(own);
    };
    const detach = listener.observeGaps({ gap: tell, complete });
    for (const channel of listener.coveredChannels) {
      const until = listener.coveredSince(channel);
      if (until) tell({ channel, reason: 'start', until });
    }
    return detach;
  }

  /** How many notifications were dropped because an asynchronous schema did not keep up. */
  get dropped(): number {
    return [...this.lanes.values(), ...this.ending].reduce(
      (sum, lane) => sum + lane.dropped,
      this.droppedInClosedLanes,
    );
  }

  /** Resolves when nothing waits for a schema. */
  async settled(): Promise<void> {
    await Promise.all([...this.lanes.values(), ...this.ending].map((lane) => lane.settled()));
  }

  /** The channels whose schema owes an answer, for messages. */
  get waitingChannels(): readonly string[] {
    const waiting = [...this.lanes.values(), ...this.ending].filter(({ isWaiting }) => isWaiting);
    return [...new Set(waiting.map(({ channel }) => channel))];
  }

  private close(channel: string | PgChannel, lane: DecodeLane): void {
    this.lanes.delete(channel);
    this.ending.add(lane);
    void this.forgetWhenSettled(lane);
  }

  private async forgetWhenSettled(lane: DecodeLane): Promise<void> {
    await lane.settled(); // Never rejects.
    this.ending.delete(lane);
    this.droppedInClosedLanes += lane.dropped;
  }

  private openLane(channel: string | PgChannel): DecodeLane {
    const { bufferSize, diagnostics, warn } = this.options;
    const definition = toPgChannel(channel);
    const { name } = definition;
    const onOverflow = (): void => {
      diagnostics.publish('nest-pg-notify.gap', { channel: name, reason: 'overflow' });
      warn(
        `The schema of the channel ${JSON.stringify(name)} does not keep up: ${bufferSize} notifications wait for it, and the oldest are dropped. ` +
          `What is dropped is counted, and announced as an overflow gap.`,
      );
    };
    const onRounded = (): void => {
      if (this.rounded.has(name)) return;
      this.rounded.add(name);
      warn(
        `A notification of the channel ${JSON.stringify(name)} has an integer beyond 2^53, which JSON.parse() has rounded. ` +
          `Send it as text (id::text in SQL), or read it from raw. This is logged once for each channel.`,
      );
    };
    const onEmpty = (): void => this.close(channel, lane);
    const lane = new DecodeLane({ ...this.options, channel: definition, onOverflow, onRounded, onEmpty });
    this.lanes.set(channel, lane);
    return lane;
  }
}
