import { describe, expect, it } from '@jest/globals';
import { PgNotifyModule } from 'nest-pg-notify';
import { appSuite } from '../support/app/app-suite.js';
import { untilStatus } from '../support/app/status.js';
import { backend } from '../support/backend-messages.js';
import { StubServer } from '../support/stub-server.js';
import { printableStack } from '../../lib/printable.js';

const suite = appSuite({ bus: true });

describe('the message of a server', () => {
  const forged = 'no\r\n[Nest] 1  - LOG [Bank] paid \u001b[2J\u202e';
  const escaped = 'no\\r\\n[Nest] 1  - LOG [Bank] paid \\e[2J\\u202e';

  async function hostileServer(): Promise<StubServer> {
    const server = await StubServer.start({
      onStartup: (connection) => {
        connection.write(backend.errorResponse('57P03', forged, 'FATAL'));
        connection.socket.end();
      },
    });
    return suite.use(server);
  }

  it('reaches the log, the status and errors without its control characters', async () => {
    const { url } = await hostileServer();
    const subject = await suite.createOf({
      imports: [PgNotifyModule.forRoot({ connection: url, startup: { mode: 'background' } })],
    });
    const messages: string[] = [];
    subject.service.errors$.subscribe(({ message }) => messages.push(message));
    await subject.app.init();
    const { lastFailure } = await untilStatus(subject, ({ attempts }) => attempts > 0);
    for (const text of [lastFailure!.message, messages[0]!, ...subject.logger.texts('warn')]) {
      expect(text).toContain(escaped);
    }
    for (const character of '\r\u001b\u202e') expect(subject.logger.texts().join('')).not.toContain(character);
  });

  it('fails the bootstrap without its control characters, also in the stack that Nest prints', async () => {
    const { url } = await hostileServer();
    const { app } = await suite.createOf({
      imports: [PgNotifyModule.forRoot({ connection: url, startup: { mode: 'fail' } })],
    });
    const error = await app.init().then(
      () => undefined,
      (thrown: unknown) => thrown as Error,
    );
    expect(error!.message).toContain(escaped);
    expect(error!.stack!.split('\n')[0]).toContain(escaped);
  });
});

describe('printableStack()', () => {
  it('keeps the line ends between calls, and escapes those of messages and all other control characters', () => {
    const stack = 'Error: a\nb\u0007\n    at one (file.js:1:1)\nCaused by: \u001b\n    at two (file.js:2:2)';
    expect(printableStack(stack)).toBe(
      'Error: a\\nb\\x07\n    at one (file.js:1:1)\\nCaused by: \\e\n    at two (file.js:2:2)',
    );
  });
});
