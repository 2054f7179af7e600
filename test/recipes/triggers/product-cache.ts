import { Injectable } from '@nestjs/common';
import { OnPgGap, OnPgNotify } from 'nest-pg-notify';
import type { PgTableChange } from 'nest-pg-notify/triggers';
import { ProductChanges } from './product-changes.js';

@Injectable()
export class ProductCache {
  private readonly products = new Map<number, unknown>();

  @OnPgNotify(ProductChanges)
  evict({ keys }: PgTableChange<number>): void {
    if (keys === null)
      this.products.clear(); // too many to name, or a TRUNCATE
    else for (const id of keys) this.products.delete(id);
  }

  @OnPgGap(ProductChanges)
  forget(): void {
    this.products.clear();
  }

  keep(id: number, product: unknown): void {
    this.products.set(id, product);
  }

  get size(): number {
    return this.products.size;
  }
}
