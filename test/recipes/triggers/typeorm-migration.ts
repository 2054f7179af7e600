import { notifyTrigger } from 'nest-pg-notify/triggers';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { productTrigger } from './product-changes.js';

export class NotifyOfProducts1764400000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(notifyTrigger(productTrigger).up);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(notifyTrigger(productTrigger).down);
  }
}
