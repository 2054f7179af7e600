import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { PgNotifyModuleOptions } from 'nest-pg-notify';
import { Recorder } from '../support/recorder.js';
import type { StubConnection } from '../support/stub-connection.js';
import { appSuite, QUICK } from '../support/app/app-suite.js';
import { untilStatus } from '../support/app/status.js';
import { watched } from '../support/app/watched-app.js';
import { StubPostgres } from '../support/stub-postgres.js';

const isListener = ({ parameters }: StubConnection): boolean =>
  parameters.get('application_name') === 'nest-pg-notify listener';

/** A server that, while it is flapping, lets the listener in, acknowledges its LISTEN, and then dies. */
class FlappingServer {
  /** When the listener connected, in milliseconds. */
  readonly connects = new Recorder<number>();
  readonly heartbeats = new Recorder<string>();
  isFlapping = true;

  private constructor(readonly server: StubPostgres) {}

  static async start(): Promise<FlappingServer> {
    const flapping: FlappingServer = new FlappingServer(
      await StubPostgres.start({
        onStartup: (connection) => {
          if (isListener(connection)) flapping.connects.push(performance.now());
          connection.greet();
        },
        onQuery: ({ text }, { socket }) => {
          if (flapping.isFlapping && text.includes('LISTEN "')) setImmediate(() => socket.destroy());
          if (text.includes('AS same')) flapping.heartbeats.push(text);
          return false;
        },
      }),
    );
    return flapping;
  }

  /** Ends the listener's connection. */
  cut(): void {
    this.server.connections.find(isListener)?.socket.destroy();
  }
}

// FAULTS 38.
describe('a server that accepts, acknowledges LISTEN and dies', () => {
  const suite = appSuite({ options: QUICK });

  afterEach(() => {
    jest.restoreAllMocks();
  });

  /** Starts an application whose server is flapping. */
  async function start(options: Partial<PgNotifyModuleOptions>) {
    const flapping = await FlappingServer.start();
    suite.use(flapping.server);
    const subject = watched(await suite.create({ connection: flapping.server.url, deliveryCheck: false, ...options }));
    await subject.app.init();
    return { flapping, subject };
  }

  it('is tried at growing delays, although every attempt succeeds', async () => {
    jest.spyOn(Math, 'random').mockReturnValue(0.999); // The largest delay that the jitter may draw.
    const { flapping, subject } = await start({ reconnect: { minDelay: 20, maxDelay: 160, stableAfter: 400 } });
    const times = [...(await flapping.connects.until(7))];
    const delays = times.slice(1).map((time, index) => Math.round(time - times[index]!));
    for (const [index, least] of [19, 39, 79, 159, 159, 159].entries()) {
      expect(delays[index]).toBeGreaterThanOrEqual(least);
    }
    expect(subject.seen.items.filter((item) => item === 'reconnect').length).toBeGreaterThanOrEqual(5);

    // The last one may live, but is cut before `stableAfter`: the delays do not start over.
    flapping.isFlapping = false;
    await untilStatus(subject, ({ state }) => state === 'listening');
    const cut = performance.now();
    flapping.cut();
    expect((await flapping.connects.until(8))[7]! - cut).toBeGreaterThanOrEqual(150);
  });

  it('is tried after the first delay again once it has stayed up for a while', async () => {
    jest.spyOn(Math, 'random').mockReturnValue(0.999);
    const { flapping, subject } = await start({
      heartbeat: { interval: 50, timeout: 5_000 },
      reconnect: { minDelay: 20, maxDelay: 2_000, stableAfter: 150 },
    });
    await flapping.connects.until(6); // The bound of the next delay is 640 ms by now.
    flapping.isFlapping = false;
    const { since } = await untilStatus(subject, ({ state }) => state === 'listening');
    await flapping.heartbeats.until(4); // One in 50 ms at most.
    expect(Date.now() - since.getTime()).toBeGreaterThan(150);
    const cut = performance.now();
    flapping.cut();
    const times = await flapping.connects.until(7);
    expect(times[6]! - cut).toBeLessThan(300);
  });
});
