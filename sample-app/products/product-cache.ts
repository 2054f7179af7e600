import { Cache } from '@nestjs/cache-manager';
import { Injectable } from '@nestjs/common';
import { OnPgGap, OnPgNotify } from 'nest-pg-notify';
import type { PgTableChange } from 'nest-pg-notify/triggers';
import { Database } from '../database/database.js';
import { ProductChanges } from './product-changes.js';
import type { Product } from './product.js';

const ALL = 'products';

const keyOf = (id: number): string => `product:${id}`;

/** Products, read from the database once and then from the cache, until the database announces that they have changed. */
@Injectable()
export class ProductCache {
  private evictions = 0;

  constructor(
    private readonly cache: Cache,
    private readonly database: Database,
  ) {}

  /** All products, by their names. */
  async all(): Promise<readonly Product[]> {
    return this.read(ALL, () => this.database.query<Product>('SELECT id, name, price FROM products ORDER BY name'));
  }

  async find(id: number): Promise<Product | undefined> {
    const found = await this.read(keyOf(id), () =>
      this.database.query<Product>('SELECT id, name, price FROM products WHERE id = $1', [id]),
    );
    return found[0];
  }

  /** One notification for a statement, however many products it has changed; without keys any of them may have changed. */
  @OnPgNotify(ProductChanges)
  async evict({ keys }: Pick<PgTableChange<number>, 'keys'>): Promise<void> {
    this.evictions++;
    await (keys === null ? this.cache.clear() : this.cache.mdel([ALL, ...keys.map(keyOf)]));
  }

  /** Changes may have been missed, so nothing in the cache is certain. No later change is handled before this has succeeded. */
  @OnPgGap(ProductChanges)
  async reload(): Promise<void> {
    await this.evict({ keys: null });
    await this.all();
  }

  /** What an eviction overtakes while it is read or stored is not kept: it may be what the product was before. */
  private async read(key: string, load: () => Promise<Product[]>): Promise<readonly Product[]> {
    const cached = await this.cache.get<Product[]>(key);
    if (cached) return cached;
    const { evictions } = this;
    const loaded = await load();
    await this.cache.set(key, loaded);
    if (evictions !== this.evictions) await this.cache.del(key);
    return loaded;
  }
}
