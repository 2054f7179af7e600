import { Controller, Get, NotFoundException, Param, ParseIntPipe } from '@nestjs/common';
import { ProductCache } from './product-cache.js';
import type { Product } from './product.js';

/** Answers from the cache. */
@Controller('products')
export class ProductsController {
  constructor(private readonly cache: ProductCache) {}

  @Get()
  all(): Promise<readonly Product[]> {
    return this.cache.all();
  }

  @Get(':id')
  async one(@Param('id', ParseIntPipe) id: number): Promise<Product> {
    const product = await this.cache.find(id);
    if (!product) throw new NotFoundException(`There is no product ${id}.`);
    return product;
  }
}
