import { Injectable } from '@nestjs/common';
import type { Type } from '@nestjs/common';
import { OnPgEvent } from 'nest-pg-notify/events';
import type { Recorder } from './recorder.js';

/** Makes a class whose consumer records the payloads of the channel with the same name. */
export function recordingConsumer(name: string, log: Recorder<unknown>): Type {
  @Injectable()
  class Recording {
    @OnPgEvent(name, { consumer: name })
    handle(payload: unknown): void {
      log.push(payload);
    }
  }
  return Recording;
}
