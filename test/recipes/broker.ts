import { Injectable } from '@nestjs/common';
import { Recorder } from '../support/recorder.js';

/** Stands for whatever the messages go to. */
@Injectable()
export class Broker {
  readonly published = new Recorder<unknown>();
  failures = 0;

  async publish(topic: string, body: unknown, id: string): Promise<void> {
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error('The broker is down.');
    }
    this.published.push({ topic, body, id });
    await Promise.resolve();
  }
}
