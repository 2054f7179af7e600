/** What the shop's dashboard shows. */
export interface OrderSummary {
  readonly orders: number;
  readonly revenue: number;
  readonly waiting: number;
  readonly shipped: number;
}
