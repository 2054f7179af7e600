import { Injectable } from '@nestjs/common';
import { OnPgEvent } from 'nest-pg-notify/events';
import type { PgEvent, PgEventContext } from 'nest-pg-notify/events';

@Injectable()
export class WebhookRelay {
  /** Only an answer counts, and only a good one. Whoever takes it tells repeats by the idempotency key. */
  @OnPgEvent('order_events', { consumer: 'to-webhook', concurrency: 20, retry: { attempts: 20 } })
  async forward(_order: unknown, { id, key, position, payload }: PgEvent, { signal }: PgEventContext): Promise<void> {
    const answer = await fetch(process.env['WEBHOOK_URL']!, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': id },
      body: JSON.stringify({ key, position, payload }),
      redirect: 'error', // A page to log in to would be a good answer.
      signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]),
    });
    await answer.body?.cancel();
    if (!answer.ok) throw new Error(`The webhook answered ${answer.status}.`);
  }
}
