import { Injectable, Logger } from '@nestjs/common';
import { OnPgNotify } from 'nest-pg-notify';
import { OrderEvents } from './order-events.js';
import type { OrderChange } from './order-events.js';

/** Of more orders in one notification only their number is logged. */
const MOST_IN_DETAIL = 5;

/** Logs every order, whichever instance of the shop, or other program, wrote it. */
@Injectable()
export class OrderLog {
  private readonly logger = new Logger(OrderLog.name);

  @OnPgNotify(OrderEvents)
  write({ op, keys, count }: OrderChange): void {
    if (keys === null || keys.length > MOST_IN_DETAIL) {
      this.logger.log(`${keys?.length ?? count ?? 'Some'} orders (${op}).`);
      return;
    }
    for (const { id, region, amount, status } of keys) {
      this.logger.log(`Order ${id} (${op}): ${status}, ${amount} in ${region}.`);
    }
  }
}
