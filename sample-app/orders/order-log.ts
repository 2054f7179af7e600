import { Injectable, Logger } from '@nestjs/common';
import { OnPgNotify } from 'nest-pg-notify';
import { OrderEvents } from './order-events.js';
import type { OrderEvent } from './order-events.js';

/** Tells of every order, whichever instance of the shop, or other program, wrote it. */
@Injectable()
export class OrderLog {
  private readonly logger = new Logger(OrderLog.name);

  @OnPgNotify(OrderEvents)
  write({ op, id, region, amount, status }: OrderEvent): void {
    this.logger.log(`Order ${id} (${op}): ${status}, ${amount} in ${region}.`);
  }
}
