import { Injectable } from '@nestjs/common';
import { definePgChannel, OnPgGap, OnPgNotify } from 'nest-pg-notify';
import { pgTableChangeSchema } from 'nest-pg-notify/triggers';
import type { PgTableChange } from 'nest-pg-notify/triggers';

export const ProductChanges = definePgChannel('product_changes', { schema: pgTableChangeSchema<number>() });

@Injectable()
export class Products {
  readonly names = new Map([
    [7, 'Teapot'],
    [8, 'Cup'],
  ]); // Stands for a table.

  async loadAll(): Promise<Map<number, string>> {
    return new Map(this.names);
  }

  async load(id: number): Promise<string | undefined> {
    return this.names.get(id);
  }
}

@Injectable()
export class ProductCache {
  private names = new Map<number, string>();

  constructor(private readonly products: Products) {}

  @OnPgNotify(ProductChanges)
  evict({ keys }: PgTableChange<number>): void {
    for (const id of keys ?? this.names.keys()) this.names.delete(id); // Without keys: any of them may have changed.
  }

  @OnPgGap(ProductChanges)
  async reload(): Promise<void> {
    this.names = await this.products.loadAll();
  }

  async name(id: number): Promise<string | undefined> {
    return this.names.get(id) ?? this.products.load(id);
  }
}
