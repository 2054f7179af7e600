import { Injectable } from '@nestjs/common';
import { definePgChannel, OnPgGap, OnPgNotify } from 'nest-pg-notify';

export const ProductChanges = definePgChannel<{ id: number }>('product_changes');

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
  evict({ id }: { id: number }): void {
    this.names.delete(id);
  }

  @OnPgGap(ProductChanges)
  async reload(): Promise<void> {
    this.names = await this.products.loadAll();
  }

  async name(id: number): Promise<string | undefined> {
    return this.names.get(id) ?? this.products.load(id);
  }
}
