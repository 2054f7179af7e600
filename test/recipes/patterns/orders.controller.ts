import { Body, Controller, Post } from '@nestjs/common';
import { Orders } from './orders.js';

@Controller('orders')
export class OrdersController {
  constructor(private readonly orders: Orders) {}

  @Post()
  async place(@Body() { customer }: { customer: string }): Promise<void> {
    await this.orders.place(customer);
  }
}
