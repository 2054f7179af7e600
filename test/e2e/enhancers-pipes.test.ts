import { beforeEach, describe, expect, it } from '@jest/globals';
import { Body, Controller, Injectable, ParseIntPipe, Post, UsePipes, ValidationPipe } from '@nestjs/common';
import type { PipeTransform } from '@nestjs/common';
import * as common from '@nestjs/common';
import { IsInt } from 'class-validator';
import { OnPgGap, OnPgNotify } from 'nest-pg-notify';
import type { PgGap, PgNotification, PgNotifyContext } from 'nest-pg-notify';
import * as v from 'valibot';
import { z } from 'zod';
import { appSuite } from '../support/app/app-suite.js';
import { handled } from '../support/handled.js';
import { Recorder } from '../support/recorder.js';

const suite = appSuite();
let log: Recorder<unknown>;

beforeEach(() => {
  log = new Recorder();
});

describe('a pipe', () => {
  class ChangeDto {
    @IsInt()
    readonly id!: number;
  }

  it('checks and transforms the payload by its class, and leaves the other arguments alone', async () => {
    @Controller()
    @UsePipes(new ValidationPipe({ transform: true }))
    class Validated {
      @OnPgNotify('dto')
      handle(change: ChangeDto, notification: PgNotification, context: PgNotifyContext): void {
        log.push([change instanceof ChangeDto, change, notification.payload, context.notification === notification]);
      }
    }

    const { service, logger } = await suite.start({ controllers: [Validated] });
    await service.notify('dto', { id: 'not a number' });
    await service.notify('dto', { id: 7 });
    expect(await handled(service, 2)).toEqual({ delivered: 1, failed: 1 });
    expect(log.items).toEqual([[true, { id: 7 }, { id: 7 }, true]]);
    expect(logger.texts('error')).toEqual([expect.stringContaining('Bad Request')]);
  });

  it('is given nothing but the payload, even if it would take anything', async () => {
    @Injectable()
    class Handlers {
      @OnPgNotify('number')
      @UsePipes(ParseIntPipe)
      handle(payload: unknown, notification: PgNotification, context: PgNotifyContext): void {
        log.push([payload, notification.payload, notification.raw, context.kind, context.handler]);
      }

      @OnPgGap('number')
      @UsePipes(ParseIntPipe)
      reload({ reason }: PgGap, { kind }: PgNotifyContext): void {
        log.push([reason, kind]);
      }
    }

    const { service, logger } = await suite.start({ providers: [Handlers] });
    await service.notify('number', '12');
    expect(await log.until(2)).toEqual([
      ['start', 'gap'],
      [12, '12', '"12"', 'notification', 'Handlers.handle'],
    ]);
    expect(logger.texts('error')).toEqual([]);
  });

  it('is given the list of payloads of a handler of batches', async () => {
    const ids: PipeTransform = {
      transform: (changes: ChangeDto[], { type, metatype }) => [type, metatype, ...changes.map(({ id }) => id)],
    };

    @Injectable()
    class Handlers {
      @OnPgNotify('batches', { batch: { maxSize: 2, maxWait: 20_000 } })
      @UsePipes(ids)
      handle(payloads: unknown[], notifications: PgNotification[], context: PgNotifyContext): void {
        log.push([payloads, notifications.map(({ payload }) => payload), context.kind]);
      }
    }

    const { service } = await suite.start({ providers: [Handlers] });
    await Promise.all([service.notify('batches', { id: 1 }), service.notify('batches', { id: 2 })]);
    expect(await log.until(1)).toEqual([[['body', Array, 1, 2], [{ id: 1 }, { id: 2 }], 'batch']]);
  });

  // Nest 11 has no such pipe.
  const { StandardSchemaValidationPipe } = common as Partial<Pick<typeof common, 'StandardSchemaValidationPipe'>>;
  const forStandardSchemas = StandardSchemaValidationPipe ? it : it.skip;

  forStandardSchemas('of Nest checks the payload by the schema of each decorator, asynchronously too', async () => {
    const Numbers = z
      .object({ id: z.number().transform((id) => `number ${id}`) })
      .refine(async () => Promise.resolve(true));
    const Texts = v.objectAsync({
      id: v.pipeAsync(
        v.string(),
        v.transformAsync(async (id) => Promise.resolve(`text ${id}`)),
      ),
    });

    @Injectable()
    class Handlers {
      @OnPgNotify('numbers', { schema: Numbers })
      @OnPgNotify('texts', { schema: Texts })
      @OnPgNotify('anything')
      @UsePipes(new StandardSchemaValidationPipe!())
      handle({ id }: { id: unknown }): void {
        log.push(id);
      }
    }

    const { service, logger } = await suite.start({ providers: [Handlers] });
    await service.notify('numbers', { id: 1 });
    await service.notify('texts', { id: 'a' });
    await service.notify('anything', { id: null });
    await service.notify('numbers', { id: 'no number' });
    expect(await handled(service, 4)).toEqual({ delivered: 3, failed: 1 });
    expect(log.items.map(String).toSorted()).toEqual(['null', 'number 1', 'text a']);
    expect(logger.texts('error')).toHaveLength(1);
  });

  it('is given the body of the request when the method is a route as well', async () => {
    class ChangeOfRoute {
      @IsInt()
      readonly id!: number;
    }

    @Controller()
    class Shared {
      @OnPgNotify('shared')
      @Post('shared')
      @UsePipes(new ValidationPipe())
      handle(@Body() body: ChangeOfRoute, notification?: PgNotification): void {
        log.push([body, notification?.channel]);
      }
    }

    const { app, service } = await suite.start({ controllers: [Shared] });
    await service.notify('shared', { id: 1 });
    await log.until(1);
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();
    const post = (body: unknown): Promise<Response> =>
      fetch(`${url}/shared`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    expect((await post({ id: 'no number' })).status).toBe(400);
    expect((await post({ id: 2 })).status).toBe(201);
    expect(log.items).toEqual([
      [{ id: 1 }, 'shared'],
      [{ id: 2 }, undefined],
    ]);
  });
});
