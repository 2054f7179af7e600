import { Controller, Get, Param, ParseIntPipe } from '@nestjs/common';
import { ProductCache } from './product-cache.js';

@Controller('products')
export class ProductsController {
  constructor(private readonly cache: ProductCache) {}

  @Get(':id')
  async find(@Param('id', ParseIntPipe) id: number): Promise<{ price: number | undefined }> {
    return { price: await this.cache.price(id) };
  }
}
