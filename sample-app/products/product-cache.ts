import { Injectable } from '@nestjs/common';
import { OnPgGap, OnPgNotify } from 'nest-pg-notify';
import type { PgTableChange } from 'nest-pg-notify/triggers';
import { Database } from '../database/database.js';
import { ProductChanges } from './product-changes.js';
import type { Product } from './product.js';

const COLUMNS = 'id, name, price';

/** The products in memory. It reads again what was changed, and everything whenever a change may have been missed. */
@Injectable()
export class ProductCache {
  private readonly products = new Map<number, Product>();
  private onFilled: () => void = () => undefined;
  private readonly filled = new Promise<void>((resolve) => (this.onFilled = resolve));

  constructor(private readonly database: Database) {}

  /** All products, by their names. The application is up a moment before the cache is filled: who asks then waits. */
  async all(): Promise<readonly Product[]> {
    await this.filled;
    return [...this.products.values()].toSorted((one, other) => one.name.localeCompare(other.name));
  }

  /** The first gap is the start of the application: it fills the cache. No change is handled before it has succeeded. */
  @OnPgGap(ProductChanges)
  async reload(): Promise<void> {
    const products = await this.database.query<Product>(`SELECT ${COLUMNS} FROM products`);
    this.products.clear();
    for (const product of products) this.products.set(product.id, product);
    this.onFilled();
  }

  /** One query, however many products a statement has changed; all anew where the trigger does not say which. */
  @OnPgNotify(ProductChanges)
  async refresh({ keys }: PgTableChange<number>): Promise<void> {
    if (keys === null) return this.reload();
    const products = await this.database.query<Product>(`SELECT ${COLUMNS} FROM products WHERE id = ANY ($1)`, [keys]);
    for (const id of keys) this.products.delete(id);
    for (const product of products) this.products.set(product.id, product);
  }
}
