import { BadRequestException, Injectable } from '@nestjs/common';
import type { PipeTransform } from '@nestjs/common';

export interface CreateOrder {
  readonly region: string;
  readonly amount: number;
}

const MAX_AMOUNT = 1_000_000;

/** Lets a request's body pass that describes an order; answers any other with 400 and all that is wrong with it. */
@Injectable()
export class CreateOrderPipe implements PipeTransform<unknown, CreateOrder> {
  transform(body: unknown): CreateOrder {
    const { region, amount } = (body ?? {}) as Partial<Record<keyof CreateOrder, unknown>>;
    if (isRegion(region) && isAmount(amount)) return { region, amount };
    const problems: string[] = [];
    if (!isRegion(region)) problems.push('region must be 2 to 16 lower-case letters, for example "eu"');
    if (!isAmount(amount)) problems.push(`amount must be a whole number from 1 to ${MAX_AMOUNT}`);
    throw new BadRequestException(problems);
  }
}

function isRegion(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z]{2,16}$/.test(value);
}

function isAmount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_AMOUNT;
}
