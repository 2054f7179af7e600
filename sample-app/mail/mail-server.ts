import { Injectable } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { Database } from '../database/database.js';

export interface Mail {
  /** The server sends only one mail of those with the same id. */
  readonly messageId: string;
  readonly orderId: number;
  readonly subject: string;
}

/**
 * Stands for a mail server somewhere else: it is slow, it fails now and then, and no transaction of the shop reaches it. What
 * it has sent, and how often it fails, is in tables, so that all instances of the shop have the same one.
 */
@Injectable()
export class MailServer {
  constructor(private readonly database: Database) {}

  async send({ messageId, orderId, subject }: Mail): Promise<void> {
    await delay(20);
    const rate = await this.failureRate();
    if (Math.random() < rate) throw new Error(rate === 1 ? 'The mail server is down.' : 'The mail server is busy.');
    await this.database.query(
      'INSERT INTO mails (message_id, order_id, subject) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
      [messageId, orderId, subject],
    );
  }

  /** From 0, which never fails, to 1, which always does. */
  async failureRate(): Promise<number> {
    const [server] = await this.database.query<{ failure_rate: number }>('SELECT failure_rate FROM mail_server');
    return server!.failure_rate;
  }

  async setFailureRate(rate: number): Promise<void> {
    await this.database.query('UPDATE mail_server SET failure_rate = $1', [rate]);
  }
}
