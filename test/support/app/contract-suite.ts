import { definePgChannel } from 'nest-pg-notify';
import { appSuite } from './app-suite.js';
import type { AppSuite } from './app-suite.js';
import { untilLost, untilStatus } from './status.js';
import type { TestApp } from './test-app.js';

/** What the same behaviours are asked of: a registration on PostgreSQL, or on the bus of the test kit. */
export interface ContractSuite extends AppSuite {
  /** Sends a text from another session; resolves when it was committed. */
  readonly emit: (channel: string, raw: string) => Promise<void>;
  /** Loses the connection; resolves when the registration knows. */
  readonly disconnect: (subject: TestApp) => Promise<void>;
  /** Lets it listen again; resolves when it does. */
  readonly reconnect: (subject: TestApp) => Promise<void>;
}

/** Applications on the bus. */
function busContractSuite(): ContractSuite {
  const suite = appSuite({ bus: true });
  return extend(suite, {
    emit: async (channel, raw) => Promise.resolve(suite.bus.emit(definePgChannel(channel, { codec: 'text' }), raw)),
    disconnect: async () => Promise.resolve(suite.bus.simulateDisconnect()),
    reconnect: async () => Promise.resolve(suite.bus.reconnect()),
  });
}

/** Applications on a real PostgreSQL; the listening connection goes through a proxy, so that it can be lost. */
function postgresContractSuite(): ContractSuite {
  const suite = appSuite({ proxy: 'listener', options: { reconnect: { minDelay: 1, maxDelay: 20 } } });
  return extend(suite, {
    emit: async (channel, raw) => {
      await suite.database.query('SELECT pg_notify($1, $2)', [channel, raw]);
    },
    disconnect: async (subject) => {
      const lost = untilLost(subject);
      suite.proxy.refuse();
      suite.proxy.reset();
      await lost;
    },
    reconnect: async (subject) => {
      await suite.proxy.accept();
      await untilStatus(subject, ({ state }) => state === 'listening');
      await subject.service.ready();
    },
  });
}

/** Both, each with its name, for `describe.each()`. */
export const CONTRACT_SUITES = [
  ['PostgreSQL', postgresContractSuite],
  ['the test bus', busContractSuite],
] as const;

/** Keeps the getters of the suite, which a spread would read before there is anything to get. */
function extend(suite: AppSuite, more: Omit<ContractSuite, keyof AppSuite>): ContractSuite {
  return Object.assign(suite, more);
}
