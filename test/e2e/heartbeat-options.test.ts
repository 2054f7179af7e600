import { describe, expect, it } from '@jest/globals';
import { appSuite } from '../support/app/app-suite.js';
import { askListeningSession } from '../support/app/listening-session.js';
import { Recorder } from '../support/recorder.js';

describe('heartbeat.compareInterval', () => {
  const suite = appSuite();

  it('finds a lost LISTEN, however long heartbeat.interval is', async () => {
    const subject = await suite.create({ heartbeat: { interval: 3_600_000, compareInterval: 50 } });
    const reasons = new Recorder<string>();
    subject.service.gaps('orders').subscribe(({ reason }) => reasons.push(reason));
    await subject.app.init();
    await askListeningSession(subject, 'UNLISTEN *');
    expect(await reasons.until(2)).toEqual(['start', 'relisten']);
  });
});
