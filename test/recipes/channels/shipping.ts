import { Injectable } from '@nestjs/common';
import { definePgChannel, OnPgNotify, PgNotifyService } from 'nest-pg-notify';

export interface Shipment {
  readonly orderId: number;
  readonly status: 'packed' | 'shipped';
}

export const Shipments = definePgChannel<Shipment>('shipments');

@Injectable()
export class Shipping {
  readonly shown: Shipment[] = [];

  constructor(private readonly pgNotify: PgNotifyService) {}

  @OnPgNotify(Shipments)
  show(shipment: Shipment): void {
    this.shown.push(shipment); // A parameter of another type does not compile.
  }

  async ship(orderId: number): Promise<void> {
    await this.pgNotify.notify(Shipments, { orderId, status: 'shipped' });
  }

  /** An Observable<PgNotification<Shipment>>. */
  shipments() {
    return this.pgNotify.listen(Shipments);
  }
}
