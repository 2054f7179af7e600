import { Injectable } from '@nestjs/common';
import { OnPgEvent } from 'nest-pg-notify/events';
import type { PgEvent } from 'nest-pg-notify/events';
import { MailServer } from './mail-server.js';
import { OrderPlacedEvents } from './order-placed.js';
import type { OrderPlaced } from './order-placed.js';

/** The name under which the event log keeps how far the mails have come. Another name would be another consumer. */
export const MAIL_CONSUMER = 'mail';

/** Confirms every order that was committed by a mail, also if the process was killed in between. */
@Injectable()
export class Mailer {
  constructor(private readonly mailServer: MailServer) {}

  /** It may run twice for an event if the process dies; the event's id lets the mail server notice that. */
  @OnPgEvent(OrderPlacedEvents, {
    consumer: MAIL_CONSUMER,
    concurrency: 8,
    retry: { attempts: 3, delay: 300, maxDelay: 2_000 }, // Few, so that the sample has dead letters to show.
  })
  async confirm({ id, amount }: OrderPlaced, event: PgEvent<OrderPlaced>): Promise<void> {
    await this.mailServer.send({ messageId: event.id, orderId: id, subject: `Your order ${id} for ${amount}` });
  }
}
