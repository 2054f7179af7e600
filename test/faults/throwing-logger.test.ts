import { expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { untilLost, untilStatus } from '../support/app/status.js';
import { expectDelivery, watched } from '../support/app/watched-app.js';

const suite = appSuite({ proxy: 'all', options: { ...QUICK, deliveryCheck: { interval: 50 } } });

it('listens, notices losses, sends and heals although each line makes the logger of the application throw', async () => {
  const subject = watched(await suite.create());
  await subject.app.init();
  await subject.service.ready();
  const broken = jest.fn((): never => {
    throw new Error('the disk of the log is full');
  });
  Logger.overrideLogger({ log: broken, warn: broken, error: broken, debug: broken });
  suite.cleanup(() => Logger.overrideLogger(false)); // Closing the application would log.
  const warn = jest.spyOn(process, 'emitWarning').mockReturnValue();
  suite.cleanup(() => warn.mockRestore());

  const lost = untilLost(subject);
  suite.proxy.reset(); // A line for the loss …
  await lost;
  await subject.service.ready(); // … and one for its end.
  await expectDelivery(subject, 'first');
  suite.proxy.refuse();
  suite.proxy.reset();
  await untilStatus(subject, ({ attempts }) => attempts >= 3);
  await suite.proxy.accept();
  await subject.service.ready();
  await expectDelivery(subject, 'second');
  expect(subject.seen.items).toEqual(['start', 'reconnect', 'first', 'reconnect', 'second']);
  expect(broken.mock.calls.length).toBeGreaterThanOrEqual(4);
  expect(warn.mock.calls).toContainEqual([
    'The logger of the application threw: the disk of the log is full',
    'PgNotifyWarning',
  ]);
});
