import { channel } from 'node:diagnostics_channel';
import type { PgGapReason } from './channel/pg-gap.js';
import type { PgNotifyState } from './listener/pg-notify-status.js';
import type { PgNotifyError } from './pg-notify.errors.js';

/**
 * The events on Node's diagnostics channels, by the channel's name: one channel for each kind of event. They contain no
 * payloads. Without a subscriber an event costs next to nothing. Source:
 * https://nodejs.org/api/diagnostics_channel.html
 */
export interface PgNotifyDiagnosticsEvents {
  /** A notification was received. `size` is that of its payload's text, in characters. */
  'nest-pg-notify.received': { readonly registration: string; readonly channel: string; readonly size: number };
  /**
   * A handler has handled `count` notifications or events, or one gap or wake-up. `duration` is in milliseconds; for
   * events it is the sum of their runs.
   */
  'nest-pg-notify.delivered': RunEvent;
  /**
   * A handler has failed on `count` notifications, or on one gap or wake-up. For events, `count` attempts have failed;
   * they are repeated unless `nest-pg-notify.dead` is published. `duration` is in milliseconds.
   */
  'nest-pg-notify.failed': RunEvent;
  /**
   * A guard kept a handler from running for `count` notifications, or for one gap or wake-up. `duration` is in
   * milliseconds.
   */
  'nest-pg-notify.rejected': RunEvent;
  /** Waiting notifications were dropped, because the buffer of a handler was full. */
  'nest-pg-notify.dropped': {
    readonly registration: string;
    readonly channel: string;
    /** As `ProductCache.evict`. */
    readonly handler: string;
    readonly count: number;
  };
  /**
   * A gap was announced to the consumers of a channel. For an `overflow`: a handler began to drop notifications, whose
   * number `nest-pg-notify.dropped` has.
   */
  'nest-pg-notify.gap': {
    readonly registration: string;
    readonly channel: string;
    readonly reason: PgGapReason;
  };
  /** The registration has entered another state. */
  'nest-pg-notify.state': { readonly registration: string; readonly state: PgNotifyState };
  /**
   * A notification was committed, or an event was written to the log. A transaction of the caller may still be rolled
   * back. `size` is that of the payload's text, in characters. `duration` is in milliseconds, for all that were sent
   * together.
   */
  'nest-pg-notify.published': {
    readonly registration: string;
    readonly channel: string;
    readonly kind: 'notification' | 'event';
    readonly size: number;
    readonly duration: number;
  };
  /** A consumer has given up an event, which is a dead letter until it is requeued or discarded. */
  'nest-pg-notify.dead': {
    readonly registration: string;
    /** The consumer's channels, separated by commas. */
    readonly channel: string;
    /** As `Billing.charge`. */
    readonly handler: string;
    /** The consumer's name in the log. */
    readonly consumer: string;
    /** Where the event is in the log. */
    readonly position: string;
    readonly attempts: number;
  };
  /** An error that `errors$` emits as well. */
  'nest-pg-notify.error': { readonly registration: string; readonly error: PgNotifyError };
}

/** The kind of a decorated method's call. */
export type PgHandlerKind = 'notification' | 'gap' | 'wake-up' | 'event';

interface RunEvent {
  readonly registration: string;
  readonly channel: string;
  /** As `ProductCache.evict`. */
  readonly handler: string;
  /** The kind of the call. */
  readonly kind: PgHandlerKind;
  readonly count: number;
  readonly duration: number;
}

type EventName = keyof PgNotifyDiagnosticsEvents;
type Told<Name extends EventName> = Omit<PgNotifyDiagnosticsEvents[Name], 'registration'>;

const CHANNELS = {
  'nest-pg-notify.received': channel('nest-pg-notify.received'),
  'nest-pg-notify.delivered': channel('nest-pg-notify.delivered'),
  'nest-pg-notify.failed': channel('nest-pg-notify.failed'),
  'nest-pg-notify.rejected': channel('nest-pg-notify.rejected'),
  'nest-pg-notify.dropped': channel('nest-pg-notify.dropped'),
  'nest-pg-notify.gap': channel('nest-pg-notify.gap'),
  'nest-pg-notify.state': channel('nest-pg-notify.state'),
  'nest-pg-notify.published': channel('nest-pg-notify.published'),
  'nest-pg-notify.dead': channel('nest-pg-notify.dead'),
  'nest-pg-notify.error': channel('nest-pg-notify.error'),
} as const;

/** Shows at any moment whether an event has subscribers. */
export interface Watch {
  readonly hasSubscribers: boolean;
}

/** Publishes the events of one registration on Node's diagnostics channels. */
export class PgNotifyDiagnostics {
  constructor(private readonly registration: string) {}

  /** Whether an event has subscribers. If not, values that only it needs need not be measured. */
  isWatched(name: EventName): boolean {
    return CHANNELS[name].hasSubscribers;
  }

  /** The same for the hot path, without a lookup of the name. */
  watch(name: EventName): Watch {
    return CHANNELS[name];
  }

  publish<Name extends EventName>(name: Name, event: Told<Name>): void {
    if (CHANNELS[name].hasSubscribers) CHANNELS[name].publish({ registration: this.registration, ...event });
  }
}
