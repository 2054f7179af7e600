import { Injectable } from '@nestjs/common';
import { definePgChannel, OnPgNotify, PgNotifyService } from 'nest-pg-notify';
import { z } from 'zod';

export const Deliveries = definePgChannel('deliveries', {
  schema: z.object({ orderId: z.number(), at: z.iso.datetime().transform((text) => new Date(text)) }),
});

@Injectable()
export class DeliveryLog {
  readonly lines: string[] = [];

  constructor(private readonly pgNotify: PgNotifyService) {}

  async announce(orderId: number): Promise<void> {
    await this.pgNotify.notify(Deliveries, { orderId, at: new Date().toISOString() }); // Takes the input, and checks it.
  }

  @OnPgNotify(Deliveries)
  print({ orderId, at }: { orderId: number; at: Date }): void {
    this.lines.push(`${orderId} in ${at.getUTCFullYear()}`); // Gets the output.
  }
}
