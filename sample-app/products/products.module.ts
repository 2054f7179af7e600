import { Module } from '@nestjs/common';
import { ProductCache } from './product-cache.js';
import { ProductsController } from './products.controller.js';

@Module({ providers: [ProductCache], controllers: [ProductsController] })
export class ProductsModule {}
