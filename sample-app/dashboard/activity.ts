import { Injectable } from '@nestjs/common';
import type { OnApplicationBootstrap } from '@nestjs/common';
import { PgNotifyService } from 'nest-pg-notify';
import type { PgGap, PgGapReason, PgNotifyState, PgWakeReason } from 'nest-pg-notify';
import { bufferTime, distinctUntilChanged, filter, map, merge, mergeMap, ReplaySubject, takeUntil } from 'rxjs';
import type { Observable } from 'rxjs';
import { JobChanges } from '../jobs/job-changes.js';
import { JobQueue } from '../jobs/job-queue.js';
import { Packer } from '../jobs/packer.js';
import { MailChanges } from '../mail/mail-changes.js';
import { OrderEvents } from '../orders/order-events.js';
import { ProductChanges } from '../products/product-changes.js';
import { completed } from './completed.js';

/** What has happened, for the page's timeline. */
export type Activity = { readonly at: Date } & (
  | { readonly kind: 'notifications'; readonly channel: string; readonly count: number }
  | {
      readonly kind: 'gap';
      readonly reason: PgGapReason;
      readonly channels: readonly string[];
      /** How long it was, in milliseconds, if that is known. */
      readonly length?: number;
    }
  | { readonly kind: 'state'; readonly state: PgNotifyState }
  | { readonly kind: 'look'; readonly reason: PgWakeReason }
);

const CHANNELS = [OrderEvents, ProductChanges, JobQueue, JobChanges, MailChanges];

/** Those that are shown: `start` only says that a channel is listened to from now on. */
const REASONS: readonly PgGapReason[] = ['reconnect', 'relisten', 'undelivered', 'overflow'];

/** What a new page is shown of the time before it was opened. */
const HISTORY = 60;

/** Follows what the library does, from the start of the shop on. */
@Injectable()
export class ActivityLog implements OnApplicationBootstrap {
  readonly activity$ = new ReplaySubject<Activity>(HISTORY);

  constructor(
    private readonly pgNotify: PgNotifyService,
    private readonly packer: Packer,
  ) {}

  onApplicationBootstrap(): void {
    const activity$ = merge(this.notifications(), this.gaps(), this.states(), this.looks());
    activity$.pipe(takeUntil(completed(this.pgNotify))).subscribe(this.activity$);
  }

  private notifications(): Observable<Activity> {
    return merge(...CHANNELS.map((channel) => this.pgNotify.listen(channel.name))).pipe(
      bufferTime(250),
      mergeMap((notifications) => {
        const at = new Date();
        const counts = new Map<string, number>();
        for (const { channel } of notifications) counts.set(channel, (counts.get(channel) ?? 0) + 1);
        return [...counts].map(([channel, count]) => ({ kind: 'notifications' as const, at, channel, count }));
      }),
    );
  }

  /** A lost connection is a gap of every channel: one line for all of them. */
  private gaps(): Observable<Activity> {
    return this.pgNotify.gaps().pipe(
      bufferTime(50),
      mergeMap((gaps) => REASONS.map((reason) => [reason, gaps.filter((gap) => gap.reason === reason)] as const)),
      filter(([, gaps]) => gaps.length > 0),
      map(([reason, gaps]) => {
        const length = lengthOf(gaps);
        const channels = gaps.map(({ channel }) => channel);
        return { kind: 'gap' as const, at: gaps[0]!.until, reason, channels, ...(length !== undefined && { length }) };
      }),
    );
  }

  private states(): Observable<Activity> {
    return this.pgNotify.status$.pipe(
      distinctUntilChanged((one, other) => one.state === other.state),
      map(({ state, since }) => ({ kind: 'state' as const, at: since, state })),
    );
  }

  /** Of the looks for jobs those that no notification has caused. */
  private looks(): Observable<Activity> {
    return this.packer.looks$.pipe(
      filter((reason) => reason === 'poll' || reason === 'retry'),
      map((reason) => ({ kind: 'look' as const, at: new Date(), reason })),
    );
  }
}

function lengthOf(gaps: readonly PgGap[]): number | undefined {
  const known = gaps.flatMap(({ since, until }) => (since ? [until.getTime() - since.getTime()] : []));
  return known.length > 0 ? Math.max(...known) : undefined;
}
