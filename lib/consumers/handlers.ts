import { setMaxListeners } from 'node:events';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { ConsumerContext } from './consumer-context.js';
import type { DecodedChannels } from './decoded-channels.js';
import type { DeliveryTrust } from './delivery-trust.js';
import { GapGate } from './gap-gate.js';
import { GapHandler } from './gap-handler.js';
import type { GapHandlerDefinition } from './gap-handler.js';
import type { Handler, PgHandlerStats } from './handler.js';
import { NotificationHandler } from './notification-handler.js';
import type { NotificationHandlerDefinition } from './notification-handler.js';
import { WakeUpHandler } from './wake-up-handler.js';
import type { WakeUpHandlerDefinition } from './wake-up-handler.js';

/** How many handlers a message names. */
const MOST_NAMED = 10;

/** What all handlers of a registration share. */
export interface HandlerParts {
  readonly trust: DeliveryTrust;
  readonly context: ConsumerContext;
  /** Aborted when a shutdown stops waiting for runs. */
  readonly closing: AbortSignal;
}

/** The handlers of one registration. A shutdown waits for them. */
export class Handlers {
  private readonly all: Handler[] = [];
  /** The subscriptions of the gates. */
  private readonly unsubscribes: (() => void)[] = [];
  private readonly closing = new AbortController();

  constructor(
    private readonly channels: DecodedChannels,
    private readonly trust: DeliveryTrust,
    private readonly context: ConsumerContext,
  ) {
    setMaxListeners(0, this.closing.signal); // Each gate adds a listener, and so does each run with a timeout.
  }

  /**
   * Connects the handlers that one provider has for one channel. Their queues stop at each gap until the gap methods
   * have succeeded.
   */
  connect(
    notificationHandlers: readonly NotificationHandlerDefinition[],
    gapHandlers: readonly GapHandlerDefinition[],
  ): void {
    const { channels, context, closing } = this;
    const [first] = gapHandlers;
    const gate = first && this.openGate(gapHandlers);
    for (const definition of notificationHandlers) {
      this.all.push(new NotificationHandler(definition, channels, gate, context, closing.signal));
    }
    if (!gate) return;
    // With the definition of a queue, if there is one: another definition would decode each notification again.
    const { channel } = notificationHandlers[0] ?? first;
    this.unsubscribes.push(channels.subscribe(channel, { gap: (gap) => gate.announce(gap) }));
  }

  private openGate(gapHandlers: readonly GapHandlerDefinition[]): GapGate {
    const { context, closing } = this;
    const methods: GapHandler[] = [];
    const gate = new GapGate(methods, context.clock, closing.signal);
    for (const definition of gapHandlers) methods.push(new GapHandler(definition, gate, context, closing.signal));
    this.all.push(...methods);
    return gate;
  }

  /** Connects a woken method. Its first run begins at once. */
  connectWakeUp(definition: WakeUpHandlerDefinition): void {
    const { channels, trust, context, closing } = this;
    this.all.push(new WakeUpHandler(definition, channels, trust, context, closing.signal));
  }

  /** Connects a handler of another kind, and passes it what all handlers of the registration share. */
  connectOther<Kind extends Handler>(make: (parts: HandlerParts) => Kind): Kind {
    const { trust, context, closing } = this;
    const handler = make({ trust, context, closing: closing.signal });
    this.all.push(handler);
    return handler;
  }

  get stats(): readonly PgHandlerStats[] {
    return this.all.map(({ stats }) => stats);
  }

  /** Takes nothing more. Notifications that were received before are still handled. */
  end(): void {
    for (const handler of this.all) handler.end();
    for (const unsubscribe of this.unsubscribes) unsubscribe();
  }

  /** Resolves when all handlers are idle, or have been abandoned. */
  async settled(): Promise<void> {
    while (!this.closing.signal.aborted) {
      await Promise.all(this.all.map((handler) => handler.settled()));
      if (this.all.every(({ isIdle }) => isIdle)) return;
    }
  }

  /**
   * Stops waiting for handlers, and starts no further run. Returns the unfinished handlers for a message, each with the
   * number of its waiting notifications; an empty list if they were abandoned before.
   */
  abandon(): readonly string[] {
    if (this.closing.signal.aborted) return [];
    this.end();
    const busy = this.all.filter(({ isIdle }) => !isIdle);
    const dropped = new Map(this.all.map((handler) => [handler, handler.stop()]));
    this.closing.abort(
      new PgNotifyError('closed', 'The registration is being closed and has stopped waiting for its handlers.'),
    );
    const named = busy.slice(0, MOST_NAMED).map((handler) => {
      const waiting = dropped.get(handler) ?? 0;
      return waiting === 0 ? handler.label : `${handler.label} (and ${waiting} that waited)`;
    });
    const others = busy.length - named.length;
    return others === 0 ? named : [...named, `and ${others} more`];
  }
}
