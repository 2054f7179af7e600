export type OrderStatus = 'new' | 'shipped' | 'cancelled';

export interface Order {
  readonly id: number;
  readonly region: string;
  readonly amount: number;
  readonly status: OrderStatus;
  readonly createdAt: Date;
}
