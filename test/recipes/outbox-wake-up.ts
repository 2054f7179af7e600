import { Injectable } from '@nestjs/common';
import { OnPgWakeUp } from 'nest-pg-notify';
import { notifyTrigger } from 'nest-pg-notify/triggers';
import { OutboxRelay } from './outbox-relay.js';

/** For a migration, after the one that creates the outbox: `outboxTrigger.up`, and `outboxTrigger.down` to undo it. */
export const outboxTrigger = notifyTrigger({
  table: 'nest_outbox.messages',
  channel: 'outbox_messages',
  key: 'seq',
  on: ['insert'],
  maxKeys: 1, // Only that there is something matters.
});

/** Wakes the relay of this instance when a message is committed, by whichever instance or program. */
@Injectable()
export class OutboxWakeUp {
  constructor(private readonly relay: OutboxRelay) {}

  @OnPgWakeUp('outbox_messages')
  wake(): void {
    this.relay.notify();
  }
}
