import { Injectable } from '@nestjs/common';
import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { PgNotifyService } from 'nest-pg-notify';
import type { PgLiveValue } from 'nest-pg-notify';
import { PgEvents } from 'nest-pg-notify/events';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Observable } from 'rxjs';
import { DeadLetters } from './dead-letters.js';
import { MAIL_CONSUMER } from './mailer.js';
import type { OrderPlaced } from './order-placed.js';

/** An order whose mail was given up. */
export interface DeadMail {
  readonly eventId: string;
  readonly orderId: number;
  readonly attempts: number;
  readonly error: string;
  readonly failedAt: Date;
}

/** What became of the mails that could not be sent. */
@Injectable()
export class MailService implements OnApplicationBootstrap, OnApplicationShutdown {
  /** The newest of them come last. */
  readonly dead$: Observable<PgLiveValue<readonly DeadMail[]>>;

  constructor(
    private readonly events: PgEvents,
    private readonly pgNotify: PgNotifyService,
  ) {
    this.dead$ = pgNotify.liveQuery(DeadLetters, () => this.dead(), { stale: true, minInterval: 250 });
  }

  /** The event log tells this process of a dead letter; the notification tells all instances. */
  onApplicationBootstrap(): void {
    subscribe('nest-pg-notify.dead', this.announce);
  }

  onApplicationShutdown(): void {
    unsubscribe('nest-pg-notify.dead', this.announce);
  }

  /** Has those mails tried again, or all that were given up; returns how many. */
  async requeue(eventIds?: readonly string[]): Promise<number> {
    const requeued = await this.events.requeue(MAIL_CONSUMER, eventIds);
    this.announce();
    return requeued;
  }

  private async dead(): Promise<readonly DeadMail[]> {
    const letters = await this.events.deadLetters(MAIL_CONSUMER);
    return letters.map(({ id, payload, attempts, error, failedAt }) => ({
      eventId: id,
      orderId: (JSON.parse(payload) as OrderPlaced).id,
      attempts,
      error: error ?? '',
      failedAt,
    }));
  }

  private readonly announce = (): void => this.pgNotify.emit(DeadLetters);
}
