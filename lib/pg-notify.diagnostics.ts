import { channel } from 'node:diagnostics_channel';
import type { PgGapReason } from './channel/pg-gap.js';
import type { PgNotifyState } from './listener/pg-notify-status.js';
import type { PgNotifyError } from './pg-notify.errors.js';

/**
 * What is published on Node's diagnostics channels, by the channel's name: one for each kind of event. Payloads are never
 * among it. Without a subscriber an event costs next to nothing. Source: https://nodejs.org/api/diagnostics_channel.html
 */
export interface PgNotifyDiagnosticsEvents {
  /** A notification was received. `size` is that of its payload's text, in characters. */
  'nest-pg-notify.received': { readonly registration: string; readonly channel: string; readonly size: number };
  /**
   * A handler is done with `count` notifications or events, or with one gap or wake-up. `duration` is in milliseconds; of events
   * it is that of all their runs together.
   */
  'nest-pg-notify.delivered': RunEvent;
  /**
   * A handler failed on `count` notifications, or on one gap or wake-up. Of events: `count` attempts have failed, and will be made
   * again unless `nest-pg-notify.dead` says otherwise. `duration` is in milliseconds.
   */
  'nest-pg-notify.failed': RunEvent;
  /** A guard kept a handler from running for `count` notifications, or for one gap or wake-up. `duration` is in milliseconds. */
  'nest-pg-notify.rejected': RunEvent;
  /** Notifications that waited were dropped, because the buffer of a handler was full. */
  'nest-pg-notify.dropped': {
    readonly registration: string;
    readonly channel: string;
    /** As `ProductCache.evict`. */
    readonly handler: string;
    readonly count: number;
  };
  /**
   * A gap was announced to the consumers of a channel. For an `overflow`: notifications began to be dropped; how many,
   * `nest-pg-notify.dropped` tells.
   */
  'nest-pg-notify.gap': {
    readonly registration: string;
    readonly channel: string;
    readonly reason: PgGapReason;
  };
  /** The registration came into another state. */
  'nest-pg-notify.state': { readonly registration: string; readonly state: PgNotifyState };
  /**
   * A notification was committed, or an event was written into the log: with a transaction of the caller's, that may still be
   * rolled back. `size` is that of its payload's text, in characters; `duration` in milliseconds, of all that were sent together.
   */
  'nest-pg-notify.published': {
    readonly registration: string;
    readonly channel: string;
    readonly kind: 'notification' | 'event';
    readonly size: number;
    readonly duration: number;
  };
  /** A consumer has given an event up: it is a dead letter, until somebody requeues or discards it. */
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
  /** What `errors$` emits as well. */
  'nest-pg-notify.error': { readonly registration: string; readonly error: PgNotifyError };
}

/** What a decorated method is called for. */
export type PgHandlerKind = 'notification' | 'gap' | 'wake-up' | 'event';

interface RunEvent {
  readonly registration: string;
  readonly channel: string;
  /** As `ProductCache.evict`. */
  readonly handler: string;
  /** What it was called for. */
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

/** Tells at each moment whether anybody would see an event. */
export interface Watch {
  readonly hasSubscribers: boolean;
}

/** Publishes the events of one registration on Node's diagnostics channels. */
export class PgNotifyDiagnostics {
  constructor(private readonly registration: string) {}

  /** Whether anybody would see such an event: what only it needs need not be measured otherwise. */
  isWatched(name: EventName): boolean {
    return CHANNELS[name].hasSubscribers;
  }

  /** The same to be asked for each notification, without a search for the name. */
  watch(name: EventName): Watch {
    return CHANNELS[name];
  }

  publish<Name extends EventName>(name: Name, event: Told<Name>): void {
    if (CHANNELS[name].hasSubscribers) CHANNELS[name].publish({ registration: this.registration, ...event });
  }
}
