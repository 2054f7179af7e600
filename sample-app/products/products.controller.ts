import { Controller, Get } from '@nestjs/common';
import { ProductCache } from './product-cache.js';
import type { Product } from './product.js';

@Controller('products')
export class ProductsController {
  constructor(private readonly cache: ProductCache) {}

  /** Answers from memory. */
  @Get()
  all(): Promise<readonly Product[]> {
    return this.cache.all();
  }
}
