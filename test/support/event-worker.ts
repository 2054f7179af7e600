import { randomUUID } from 'node:crypto';
import { InstanceProcess } from './instance-process.js';

/** An instance that runs the consumers of the nemesis. */
export class EventWorker extends InstanceProcess {
  constructor(url: string) {
    super({
      program: 'test/support/event-worker-process.ts',
      environment: { EVENT_WORKER: { url, owner: randomUUID() } },
    });
  }
}
