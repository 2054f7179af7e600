import { Injectable, UsePipes } from '@nestjs/common';
import type { PipeTransform } from '@nestjs/common';
import { definePgChannel, OnPgNotify, PgNotifyService } from 'nest-pg-notify';
import { Pool } from 'pg';
import { z } from 'zod';

const StockChange = z.object({ id: z.int() });
type StockChange = z.infer<typeof StockChange>;

export const StockChanges = definePgChannel('stock_changes', { schema: StockChange });

/** Refuses a change of a product that does not exist: only the database can say whether it does. */
@Injectable()
export class ExistingProductPipe implements PipeTransform<StockChange, Promise<StockChange>> {
  constructor(private readonly pool: Pool) {}

  async transform(change: StockChange): Promise<StockChange> {
    const { rowCount } = await this.pool.query('SELECT FROM products WHERE id = $1', [change.id]);
    if (rowCount === 0) throw new Error(`There is no product ${change.id}.`);
    return change;
  }
}

@Injectable()
export class StockCache {
  readonly outdated = new Set<number>();

  @OnPgNotify(StockChanges)
  @UsePipes(ExistingProductPipe)
  evict({ id }: StockChange): void {
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
  async announce(change: StockChange): Promise<void> {
    await this.pgNotify.notify(StockChanges, await this.existing.transform(change));
  }
}
