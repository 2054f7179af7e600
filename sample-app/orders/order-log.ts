import { Injectable, Logger } from '@nestjs/common';
import { OnPgNotify } from 'nest-pg-notify';
import { OrderEvents } from './order-events.js';
import type { OrderChange } from './order-events.js';

/** Tells of every order, whichever instance of the shop, or other program, wrote it. */
@Injectable()
export class OrderLog {
  private readonly logger = new Logger(OrderLog.name);

  @OnPgNotify(OrderEvents)
  write({ op, keys, count }: OrderChange): void {
    if (keys === null) this.logger.log(`${count ?? 'Some'} orders (${op}).`);
    for (const { id, region, amount, status } of keys ?? []) {
      this.logger.log(`Order ${id} (${op}): ${status}, ${amount} in ${region}.`);
    }
  }
}
