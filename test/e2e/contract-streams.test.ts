import { describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { definePgChannel, InjectPgChannel, PgNotifyModule } from 'nest-pg-notify';
import type { PgGap, PgNotification } from 'nest-pg-notify';
import { Observable } from 'rxjs';
import { consume } from '../support/app/consumer.js';
import { CONTRACT_SUITES } from '../support/app/contract-suite.js';
import { untilStatus } from '../support/app/status.js';
import { recordStream } from '../support/record-stream.js';
import { Recorder } from '../support/recorder.js';

describe.each(CONTRACT_SUITES)('the streams of a registration on %s', (_name, createSuite) => {
  const suite = createSuite();

  it('emit a start gap first, and are ready when init() has resolved', async () => {
    const subject = await suite.create();
    const { seen } = consume(subject, 'a');
    await subject.app.init();
    await suite.emit('a', '1');
    expect(await seen.until(2)).toEqual(['a: start', 1]);
  });

  it('give a late subscriber a start gap of its own, which the others do not get', async () => {
    const subject = await suite.start();
    const first = consume(subject, 'a');
    await subject.service.ready();
    const second = consume(subject, 'a');
    expect(second.seen.items).toEqual(['a: start']); // At once: the channel is covered.
    await suite.emit('a', '1');
    expect(await first.seen.until(2)).toEqual(['a: start', 1]);
    expect(await second.seen.until(2)).toEqual(['a: start', 1]);
  });

  it('keep the order of the senders across channels, own notifications included', async () => {
    const subject = await suite.start();
    const seen = new Recorder<unknown>();
    consume(subject, 'a', seen);
    consume(subject, 'b', seen);
    await subject.service.ready();
    await seen.until(2);
    await suite.emit('a', '1');
    await subject.service.notify('b', 2);
    await suite.emit('b', '3');
    await Promise.all([subject.service.notify('a', 4), subject.service.notify('b', 5), subject.service.notify('a', 6)]);
    await suite.emit('a', '7');
    expect((await seen.until(9)).slice(2)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('deliver what a subscriber sends after every subscriber got what it reacts to', async () => {
    const subject = await suite.start();
    const { service } = subject;
    const asked: Promise<void>[] = [];
    service.listen('a').subscribe(({ payload }) => {
      if (payload === 'question') asked.push(service.notify('a', 'answer'));
    });
    service.gaps('b').subscribe(() => asked.push(service.notify('a', 'after the gap')));
    const { seen } = consume(subject, 'a');
    const other = consume(subject, 'b');
    await service.ready();
    await seen.until((items) => items.includes('after the gap'));
    await suite.emit('a', 'question');
    await seen.until((items) => items.includes('answer'));
    expect(seen.items).toEqual(['a: start', 'after the gap', 'question', 'answer']);
    expect(other.seen.items).toEqual(['b: start']);
    await Promise.all(asked);
  });

  it('deliver two equal notifications for two calls', async () => {
    const subject = await suite.start();
    const { seen } = consume(subject, 'a');
    await subject.service.ready();
    await Promise.all([subject.service.notify('a', 'same'), subject.service.notify('a', 'same')]);
    await suite.emit('a', 'last');
    expect(await seen.until((items) => items.includes('last'))).toEqual(['a: start', 'same', 'same', 'last']);
  });

  it('carry the channel, the payload, the sender and the time of a notification', async () => {
    const subject = await suite.start();
    const notifications = recordStream(subject.service.listen('Mixed Case "quoted"'));
    await subject.service.ready();
    await suite.emit('Mixed Case "quoted"', '{"id":7}');
    await subject.service.notify('Mixed Case "quoted"');
    expect(await notifications.until(2)).toEqual([
      {
        channel: 'Mixed Case "quoted"',
        raw: '{"id":7}',
        payload: { id: 7 },
        processId: expect.any(Number),
        receivedAt: expect.any(Date),
      },
      expect.objectContaining({ raw: '', payload: undefined }),
    ]);
    const { processId } = subject.service.status;
    expect(notifications.items.map((item) => (item as PgNotification).processId)).not.toContain(processId);
  });

  it('decode payloads by the codec of each definition', async () => {
    const subject = await suite.start();
    const raws = ['{"a":[1,null]}', 'plain text', '9007199254740993', '12', '"quoted"', 'null', '{"broken":', ''];
    const auto = recordStream(subject.service.listen('codecs'));
    const text = recordStream(subject.service.listen(definePgChannel('codecs', { codec: 'text' })));
    const json = recordStream(subject.service.listen(definePgChannel('codecs', { codec: 'json' })));
    const errors = recordStream(subject.service.errors$);
    await subject.service.ready();
    for (const raw of raws) await suite.emit('codecs', raw);
    const payloads = async (recorder: typeof auto, count: number): Promise<unknown[]> =>
      (await recorder.until(count)).map((item) => (item as PgNotification).payload);
    expect(await payloads(text as typeof auto, raws.length)).toEqual(raws);
    expect(await payloads(auto, raws.length)).toEqual([
      { a: [1, null] },
      'plain text',
      '9007199254740993',
      12,
      'quoted',
      null,
      '{"broken":',
      undefined,
    ]);
    expect(await payloads(json, 6)).toEqual([{ a: [1, null] }, 9007199254740992, 12, 'quoted', null, undefined]);
    expect(errors.items).toEqual([
      expect.objectContaining({ kind: 'payload', channel: 'codecs', size: 10 }),
      expect.objectContaining({ kind: 'payload', channel: 'codecs', size: 10 }),
    ]);
  });

  it('are injected by forFeature()', async () => {
    @Injectable()
    class Feature {
      constructor(@InjectPgChannel('a') readonly stream: Observable<PgNotification>) {}
    }
    const subject = await suite.start({ imports: [PgNotifyModule.forFeature(['a'])], providers: [Feature] });
    const notifications = recordStream(subject.app.get(Feature).stream);
    await subject.service.ready();
    await suite.emit('a', '1');
    expect(await notifications.until(1)).toMatchObject([{ channel: 'a', payload: 1 }]);
  });

  it('release the channel after the last subscriber, and begin anew with the next', async () => {
    const subject = await suite.start();
    const [first, second] = [consume(subject, 'a'), consume(subject, 'a')];
    await subject.service.ready();
    expect(subject.service.status.channels).toEqual({ wanted: 1, acknowledged: 1 });
    first.unsubscribe();
    await suite.emit('a', '1');
    await second.seen.until(2);
    expect(first.seen.items).toEqual(['a: start']);
    const released = untilStatus(subject, ({ channels }) => channels.wanted === 0 && channels.acknowledged === 0);
    second.unsubscribe();
    await released;
    await suite.emit('a', 'missed');
    const third = consume(subject, 'a');
    await subject.service.ready();
    await suite.emit('a', '2');
    expect(await third.seen.until(2)).toEqual(['a: start', 2]);
    expect(second.seen.items).toEqual(['a: start', 1]);
  });

  it('report the gaps of all channels to gaps() without a channel', async () => {
    const subject = await suite.start();
    consume(subject, 'a');
    await subject.service.ready();
    const gaps = recordStream(subject.service.gaps());
    consume(subject, 'b');
    await subject.service.ready();
    await suite.disconnect(subject);
    await suite.reconnect(subject);
    const told = (await gaps.until(4)).map((gap) => `${(gap as PgGap).channel}: ${(gap as PgGap).reason}`);
    expect(told.slice(0, 2)).toEqual(['a: start', 'b: start']);
    expect(told.slice(2).toSorted()).toEqual(['a: reconnect', 'b: reconnect']);
  });
});
