import { Injectable, UsePipes } from '@nestjs/common';
import type { PipeTransform } from '@nestjs/common';
import { definePgChannel, OnPgNotify, PgNotifyService } from 'nest-pg-notify';
import { Pool } from 'pg';
import { z } from 'zod';

const ProductChange = z.object({ id: z.int() });
type ProductChange = z.infer<typeof ProductChange>;

export const ProductChanges = definePgChannel('product_changes', { schema: ProductChange });

/** Refuses a change of a product that does not exist: only the database can say whether it does. */
@Injectable()
export class ExistingProductPipe implements PipeTransform<ProductChange, Promise<ProductChange>> {
  constructor(private readonly pool: Pool) {}

  async transform(change: ProductChange): Promise<ProductChange> {
    const { rowCount } = await this.pool.query('SELECT FROM products WHERE id = $1', [change.id]);
    if (rowCount === 0) throw new Error(`There is no product ${change.id}.`);
    return change;
  }
}

@Injectable()
export class ProductCache {
  readonly outdated = new Set<number>();

  @OnPgNotify(ProductChanges)
  @UsePipes(ExistingProductPipe)
  evict({ id }: ProductChange): void {
    this.outdated.add(id);
  }
}

@Injectable()
export class Products {
  constructor(
    private readonly existing: ExistingProductPipe,
    private readonly pgNotify: PgNotifyService,
  ) {}

  /** The same check before the change is sent. */
  async announce(change: ProductChange): Promise<void> {
    await this.pgNotify.notify(ProductChanges, await this.existing.transform(change));
  }
}
