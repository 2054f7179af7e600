import { inspect } from 'node:util';
import { Inject, Injectable } from '@nestjs/common';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { type } from 'arktype';
import {
  definePgChannel,
  getPgChannelToken,
  InjectPgChannel,
  OnPgNotify,
  PgNotifyError,
  PgNotifyModule,
} from 'nest-pg-notify';
import type { PgChannel, PgNotification } from 'nest-pg-notify';
import { pgTableChangeSchema } from 'nest-pg-notify/triggers';
import type { Observable } from 'rxjs';
import * as v from 'valibot';
import { z } from 'zod';
import { channelsOnServer } from '../support/app/listening-session.js';
import { appSuite } from '../support/app/app-suite.js';
import type { TestApp } from '../support/app/test-app.js';
import { failureOf } from '../support/failures.js';
import { Recorder } from '../support/recorder.js';

/** What is sent, and what handlers get: the schema makes a Date of the text. */
interface Input {
  readonly id: number;
  readonly at: string;
}
interface Output {
  readonly id: number;
  readonly at: Date;
}

type Orders = PgChannel<Output, Input>;

const AT = '2026-01-02T03:04:05.000Z';

/** Must not be seen anywhere but in `issues`. */
const CANARY = 'canary-8c5f';

const zodSchema = z.object({ id: z.number(), at: z.iso.datetime().transform((text) => new Date(text)) });

const valibotDate = v.pipe(
  v.string(),
  v.isoTimestamp(),
  v.transform((text) => new Date(text)),
);
const valibotSchema = v.object({ id: v.number(), at: valibotDate });
const arktypeSchema = type({ id: 'number', at: 'string.date.iso.parse' });

/** Not from a library: it counts how often it is asked. */
class OwnSchema implements StandardSchemaV1<Input, Output> {
  asked = 0;
  readonly '~standard': StandardSchemaV1.Props<Input, Output>;

  constructor() {
    const validate = (value: unknown): StandardSchemaV1.Result<Output> => {
      this.asked += 1;
      const { id, at } = value as Partial<Input>;
      if (typeof id !== 'number') return { issues: [{ message: `${String(id)} is no id`, path: ['id'] }] };
      return { value: { id, at: new Date(String(at)) } };
    };
    this['~standard'] = { version: 1, vendor: 'test', validate };
  }
}

const ownSchema = new OwnSchema();

const KINDS: readonly (readonly [library: string, channel: Orders])[] = [
  ['zod', definePgChannel('zod', { schema: zodSchema })],
  ['valibot', definePgChannel('valibot', { schema: valibotSchema })],
  ['arktype', definePgChannel('arktype', { schema: arktypeSchema })],
  ['a schema of my own', definePgChannel('own', { schema: ownSchema })],
];

describe.each(KINDS)('a channel whose schema is made by %s', (_library, channel) => {
  const suite = appSuite();
  let subject: TestApp;
  const handled = new Recorder<readonly [Output, PgNotification<Output>]>();
  const batched = new Recorder<readonly Output[]>();
  const streamed = new Recorder<PgNotification<Output>>();
  const injected = new Recorder<PgNotification<Output>>();
  const loads = new Recorder<void>();
  const errors = new Recorder<PgNotifyError>();

  @Injectable()
  class Handlers {
    constructor(@InjectPgChannel(channel) readonly orders$: Observable<PgNotification<Output>>) {}

    @OnPgNotify(channel)
    one(order: Output, notification: PgNotification<Output>): void {
      handled.push([order, notification]);
    }

    @OnPgNotify(channel, { batch: { maxSize: 10 } })
    several(orders: Output[]): void {
      batched.push(orders);
    }
  }

  beforeAll(async () => {
    subject = await suite.create({ imports: [PgNotifyModule.forFeature([channel])], providers: [Handlers] });
    const { app, service } = subject;
    await app.init();
    service.listen(channel).subscribe(streamed.push);
    app.get(Handlers).orders$.subscribe(injected.push);
    service.liveQuery(channel, () => loads.push()).subscribe();
    service.errors$.subscribe(errors.push);
    await service.ready();
  });

  afterEach(() => {
    for (const recorder of [handled, batched, streamed, injected, errors]) recorder.items.length = 0;
    subject.logger.lines.length = 0;
  });

  it('sends the input as it was given, and gives everyone the output', async () => {
    const output: Output = { id: 7, at: new Date(AT) };
    const before = loads.items.length;
    const { asked } = ownSchema;
    await subject.service.notify(channel, { id: 7, at: AT });
    const [[order, notification]] = (await handled.until(1)) as [readonly [Output, PgNotification<Output>]];
    expect(order).toEqual(output);
    expect(notification).toMatchObject({ raw: JSON.stringify({ id: 7, at: AT }), payload: output });
    const [batch] = (await batched.until(1)) as [readonly Output[]];
    expect(batch).toEqual([output]);
    const payloads = [...(await streamed.until(1)), ...(await injected.until(1))].map(({ payload }) => payload);
    expect(payloads).toEqual([output, output]);
    // Decoded once for all of them, and the very same object for each.
    for (const payload of [batch[0], ...payloads, notification.payload]) expect(payload).toBe(order);
    if (channel.name === 'own') expect(ownSchema.asked - asked).toBe(2); // Sent, and received.
    await loads.until(before + 1);
  });

  it('withholds from everyone what was received and does not match, and quotes it nowhere', async () => {
    await suite.database.query('SELECT pg_notify($1, $2), pg_notify($1, $3)', [
      channel.name,
      JSON.stringify({ id: CANARY, at: CANARY }),
      JSON.stringify({ id: 8, at: AT }),
    ]);
    for (const recorder of [handled, streamed, injected]) await recorder.until(1);
    expect(handled.items.map(([{ id }]) => id)).toEqual([8]);
    expect([...streamed.items, ...injected.items].map(({ payload }) => payload.id)).toEqual([8, 8]);
    expect(errors.items).toHaveLength(1);
    const [error] = errors.items as [PgNotifyError];
    expect(error).toMatchObject({ kind: 'payload', channel: channel.name });
    expect(error.issues?.length).toBeGreaterThan(0);
    expect(subject.logger.texts('error')).toHaveLength(1);
    expect(subject.logger.texts('error')[0]).toContain(
      `A payload for channel "${channel.name}" does not match the schema of the channel`,
    );
    expectNoCanary(error, subject);
  });

  it('refuses to send what does not match, and reports that to the caller alone', async () => {
    const wrong = { id: CANARY, at: CANARY } as unknown as Input;
    const error = await failureOf(subject.service.notify(channel, wrong));
    expect(error).toMatchObject({ kind: 'payload', channel: channel.name });
    expect(error.issues?.length).toBeGreaterThan(0);
    expectNoCanary(error, subject);
    await subject.service.notify(channel, { id: 9, at: AT });
    await handled.until(1);
    expect(handled.items.map(([{ id }]) => id)).toEqual([9]);
    expect(errors.items).toEqual([]);
    expect(subject.logger.texts('error')).toEqual([]);
  });

  if (channel.name === 'arktype') {
    it('reports issues that quote the payload, which therefore must not be printed', async () => {
      const wrong = { id: 1, at: CANARY };
      await expect(subject.service.notify(channel, wrong)).rejects.toMatchObject({
        issues: [expect.objectContaining({ message: expect.stringContaining(CANARY) })],
      });
    });
  }
});

describe('a schema that fails itself', () => {
  const suite = appSuite();
  let subject: TestApp;

  beforeAll(async () => {
    subject = await suite.start();
  });

  it('goes on and quotes nothing when it throws', async () => {
    const channel = definePgChannel('schema_throws', { schema: schemaOf(throws) });
    const received = new Recorder<unknown>();
    const errors = new Recorder<PgNotifyError>();
    const subscriptions = [
      subject.service.listen(channel).subscribe(received.push),
      subject.service.errors$.subscribe(errors.push),
    ];
    await subject.service.ready();
    await suite.database.query('SELECT pg_notify($1, $2), pg_notify($1, $3)', [channel.name, `"${CANARY}"`, '"fine"']);
    await received.until(1);
    expect(received.items).toEqual([expect.objectContaining({ payload: 'fine' })]);
    expect(errors.items).toEqual([expect.objectContaining({ kind: 'payload', channel: channel.name })]);
    expect(errors.items[0]?.issues).toEqual([expect.objectContaining({ message: `cannot take ${CANARY}` })]);
    expectNoCanary(errors.items[0], subject);
    const error = await failureOf(subject.service.notify(channel, CANARY));
    expect(error).toMatchObject({ kind: 'payload', channel: channel.name });
    expectNoCanary(error, subject);
    for (const subscription of subscriptions) subscription.unsubscribe();
  });
});

describe('an asynchronous schema', () => {
  const suite = appSuite();
  let subject: TestApp;
  const handled = new Recorder<unknown>();
  const streamed = new Recorder<unknown>();
  const errors = new Recorder<PgNotifyError>();

  const Zod = definePgChannel('zod_async', {
    schema: z.object({ id: z.number() }).refine(async () => Promise.resolve(true)),
  });
  /** Answers at once for numbers. */
  const Mixed = definePgChannel('mixed', {
    schema: schemaOf((value) =>
      typeof value === 'number' ? { value } : Promise.reject(new Error('nobody waits for it')),
    ),
  });

  @Injectable()
  class Handlers {
    @OnPgNotify(Zod)
    @OnPgNotify(Mixed)
    handle(payload: unknown): void {
      handled.push(payload);
    }
  }

  const refused = (channel: PgChannel): object => ({
    kind: 'configuration',
    permanent: true,
    channel: channel.name,
    message:
      `The schema of channel "${channel.name}" returned a promise, but the schema of a channel must answer at once. ` +
      'Move the asynchronous check into a pipe of the handler (@UsePipes), and into the code that calls notify().',
  });

  beforeAll(async () => {
    subject = await suite.start({ providers: [Handlers] });
    subject.service.listen(Mixed).subscribe(streamed.push);
    subject.service.errors$.subscribe(errors.push);
    await subject.service.ready();
  });

  afterEach(() => {
    for (const recorder of [handled, streamed, errors]) recorder.items.length = 0;
    subject.logger.lines.length = 0;
  });

  it.each([
    [
      'of valibot',
      v.pipeAsync(
        v.number(),
        v.checkAsync(async () => Promise.resolve(true)),
      ),
    ],
    ['whose function is async', schemaOf(async (value) => Promise.resolve({ value }))],
    ['of the keys of a trigger', pgTableChangeSchema(v.pipeAsync(v.number(), v.brand('Id')))],
  ])('is refused when the channel is defined: one %s', (_kind, schema) => {
    expect(() => definePgChannel('orders', { schema })).toThrow(
      expect.objectContaining({
        kind: 'configuration',
        message:
          'The option schema of the channel "orders" must answer at once, but this schema returns a promise. ' +
          'Move the asynchronous check into a pipe of the handler (@UsePipes), and into the code that calls notify().',
      }),
    );
  });

  it('fails notify() and notifyMany(), which send nothing, inside a transaction too', async () => {
    const { service } = subject;
    const statements: string[] = [];
    const executor = { query: async (text: string) => Promise.resolve({ rows: [statements.push(text)] }) };
    for (const options of [{}, { executor }]) {
      expect(await failureOf(service.notify(Zod, { id: 1 }, options))).toMatchObject(refused(Zod));
      expect(await failureOf(service.notify(Mixed, 'text', options))).toMatchObject(refused(Mixed));
      const error = await failureOf(service.notifyMany(Zod, [{ id: 1 }, { id: 2 }], options));
      expect(error).toMatchObject(refused(Zod));
      expect(error.failures).toBeUndefined();
    }
    await service.notify(Mixed, 1);
    await streamed.until(1);
    expect(service.stats().received).toBe(1);
    expect(statements).toEqual([]);
    expect(errors.items).toEqual([]); // The callers know.
  });

  it('is reported when emit() was called', async () => {
    subject.service.emit(Zod, { id: 1 });
    expect(await errors.until(1)).toEqual([expect.objectContaining(refused(Zod))]);
    expect(subject.logger.texts('error')).toEqual([expect.stringContaining('"zod_async" returned a promise')]);
  });

  it('withholds what was received from handlers and streams, and reports it', async () => {
    await suite.database.query(
      `SELECT pg_notify('zod_async', '{"id":1}'), pg_notify('mixed', '"text"'), pg_notify('mixed', '7')`,
    );
    await handled.until(1);
    expect(handled.items).toEqual([7]);
    expect(streamed.items).toEqual([expect.objectContaining({ payload: 7 })]);
    expect(errors.items).toEqual([Zod, Mixed].map((channel) => expect.objectContaining(refused(channel))));
    expect(subject.logger.texts('error')).toHaveLength(2);
  });
});

describe('definePgChannel()', () => {
  it.each([null, {}, 'zod', 7, () => undefined, { '~standard': {} }, { '~standard': null }])(
    'refuses the schema %p',
    (schema) => {
      const define = (): unknown => definePgChannel('orders', { schema: schema as unknown as StandardSchemaV1 });
      expect(define).toThrow(PgNotifyError);
      expect(define).toThrow(
        /The option schema of the channel "orders" must be a Standard Schema .* zod 3\.24, valibot 1\.0, arktype/,
      );
    },
  );
});

describe('several definitions of one channel', () => {
  const suite = appSuite();
  const Numbers = definePgChannel('mixed', { schema: z.number() });
  const Doubles = definePgChannel('mixed', { schema: z.number().transform((value) => value * 2) });
  const Texts = definePgChannel('mixed', { codec: 'text' });

  @Injectable()
  class Streams {
    constructor(
      @InjectPgChannel('mixed') readonly plain$: Observable<PgNotification>,
      @InjectPgChannel(Numbers) readonly numbers$: Observable<PgNotification<number>>,
      @InjectPgChannel(Doubles) readonly doubles$: Observable<PgNotification<number>>,
      @InjectPgChannel(Texts) readonly texts$: Observable<PgNotification<string>>,
    ) {}
  }

  it('decode each in its own way, next to a plain name, from one LISTEN', async () => {
    const feature = PgNotifyModule.forFeature(['mixed', Numbers, Doubles, Texts]);
    const subject = await suite.create({ imports: [feature], providers: [Streams] });
    const { app, service, logger } = subject;
    await app.init();
    const { plain$, numbers$, doubles$, texts$ } = app.get(Streams);
    const streams: Record<string, Observable<PgNotification>> = {
      'injected plain': plain$,
      'injected numbers': numbers$,
      'injected doubles': doubles$,
      'injected texts': texts$,
      plain: service.listen('mixed'),
      numbers: service.listen(Numbers),
      doubles: service.listen(Doubles),
      texts: service.listen(Texts),
    };
    const received = new Recorder<readonly [string, unknown]>();
    for (const [name, stream] of Object.entries(streams)) {
      stream.subscribe(({ payload }) => received.push([name, payload]));
    }
    await service.ready();
    expect(await channelsOnServer(subject)).toEqual(['mixed']);
    await suite.database.query(`SELECT pg_notify('mixed', '21'), pg_notify('mixed', 'no number')`);
    await received.until(12);
    const of = (name: string): unknown[] =>
      received.items.filter(([from]) => from === name).map(([, payload]) => payload);
    for (const prefix of ['', 'injected ']) {
      expect(of(`${prefix}plain`)).toEqual([21, 'no number']);
      expect(of(`${prefix}numbers`)).toEqual([21]);
      expect(of(`${prefix}doubles`)).toEqual([42]);
      expect(of(`${prefix}texts`)).toEqual(['21', 'no number']);
    }
    expect(logger.texts('error')).toHaveLength(2); // Once for each definition that refuses it.
  });

  it('fail the bootstrap if another definition is injected than was registered', async () => {
    @Injectable()
    class Wrong {
      constructor(@Inject(getPgChannelToken(Numbers)) readonly numbers$: unknown) {}
    }
    const creating = suite.create({ imports: [PgNotifyModule.forFeature(['mixed', Doubles])], providers: [Wrong] });
    await expect(creating).rejects.toThrow(
      "it takes PgNotifyModule.forFeature([the definition of 'mixed' that is injected]) in the imports of this module",
    );
  });
});

function throws(value: unknown): StandardSchemaV1.Result<unknown> {
  if (value === CANARY) throw new Error(`cannot take ${CANARY}`);
  return { value };
}

function schemaOf(validate: StandardSchemaV1.Props['validate']): StandardSchemaV1 {
  return { '~standard': { version: 1, vendor: 'test', validate } };
}

/** Neither a line of the log, at whatever level, nor an error that somebody prints or serializes quotes a payload. */
function expectNoCanary(error: unknown, { logger }: TestApp): void {
  const { message, stack } = error as PgNotifyError;
  const texts = [...logger.texts(), inspect(error, { depth: 10 }), JSON.stringify(error), message, String(stack)];
  for (const text of texts) expect(text).not.toContain(CANARY);
}
