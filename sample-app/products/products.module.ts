import { CacheModule } from '@nestjs/cache-manager';
import { Module } from '@nestjs/common';
import { ProductCache } from './product-cache.js';
import { ProductsController } from './products.controller.js';

@Module({ imports: [CacheModule.register()], providers: [ProductCache], controllers: [ProductsController] })
export class ProductsModule {}
