import { Body, Controller, HttpCode, Post, UnprocessableEntityException } from '@nestjs/common';
import { PgNotifyError, PgNotifyService } from 'nest-pg-notify';
import { z } from 'zod';
import { Database } from '../database/database.js';
import { DatabaseServer } from '../database/database-server.js';
import { NaiveListener } from '../dashboard/naive-listener.js';
import { Destructive } from './destruction.guard.js';

const priceChange = z.object({ id: z.int().positive() });

/** How long the database stays away, in milliseconds. */
const INTERRUPTION = 10_000;

/** What the buttons of the page do beside the shop's own business. */
@Controller('demo')
export class DemoController {
  constructor(
    private readonly database: Database,
    private readonly server: DatabaseServer,
    private readonly pgNotify: PgNotifyService,
    private readonly naive: NaiveListener,
  ) {}

  /** Plain SQL, as from psql: the trigger announces it, whoever it was. */
  @Post('change-price')
  async changePrice(@Body({ schema: priceChange }) { id }: z.infer<typeof priceChange>): Promise<{ price: number }> {
    const [product] = await this.database.query<{ price: number }>(
      'UPDATE products SET price = 1 + (price + 6) % 99 WHERE id = $1 RETURNING price',
      [id],
    );
    return { price: product?.price ?? 0 };
  }

  /** Fails before anything is sent, because PostgreSQL would refuse it, and abort the transaction it is sent in. */
  @Post('send-too-much')
  async sendTooMuch(): Promise<void> {
    try {
      await this.pgNotify.notify('too_much', 'x'.repeat(8_000));
    } catch (error) {
      if (error instanceof PgNotifyError) throw new UnprocessableEntityException(error.message);
      throw error;
    }
  }

  /** Ends both listening connections of this instance: ours and the naive one. */
  @Post('kill-listeners')
  @HttpCode(200)
  @Destructive('kill')
  async killListeners(): Promise<{ killed: number | undefined }> {
    const { processId } = this.pgNotify.status;
    await this.naive.kill();
    await this.database.query('SELECT pg_terminate_backend($1)', [processId]);
    return { killed: processId };
  }

  @Post('stop-database')
  @HttpCode(200)
  @Destructive('stop')
  async stopDatabase(): Promise<{ milliseconds: number }> {
    await this.server.interrupt(INTERRUPTION);
    return { milliseconds: INTERRUPTION };
  }

  /** What somebody does by hand who has noticed that the naive listener is dead: usually a restart of the application. */
  @Post('connect-naive-listener')
  async connectNaiveListener(): Promise<void> {
    await this.naive.connect();
  }
}
