import type { PgChannel, PgLiveQueryOptions } from 'nest-pg-notify';
import type { Observable } from 'rxjs';
import { ReceivedNotification } from '../../lib/channel/pg-notification.js';
import { DecodedChannels } from '../../lib/consumers/decoded-channels.js';
import { DeliveryTrust } from '../../lib/consumers/delivery-trust.js';
import { liveQuery } from '../../lib/consumers/live-query.js';
import { readLiveQueryOptions } from '../../lib/consumers/live-query-options.js';
import { createBusListener } from './bus-listener.js';
import { consumerContext } from './consumer-context.js';
import { FakeClock } from './fake-server.js';

export interface HeldLoad {
  readonly signal: AbortSignal;
  readonly succeed: (value: unknown) => void;
  readonly fail: (error: Error) => void;
}

/** A live query whose every load waits for the test. */
export async function heldLiveQuery({
  channels = ['orders'],
  isConnected = true,
  load,
  ...given
}: PgLiveQueryOptions & {
  readonly channels?: readonly (string | PgChannel)[];
  readonly isConnected?: boolean;
  readonly load?: () => unknown;
} = {}) {
  const { listener, diagnostics } = createBusListener();
  if (isConnected) await listener.start();
  const clock = new FakeClock();
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  const context = consumerContext({ clock, onError, diagnostics });
  const decoded = new DecodedChannels(listener, context);
  const loads: HeldLoad[] = [];
  let open = 0;
  let most = 0;
  const query$: Observable<unknown> = liveQuery<unknown>(
    {
      channels,
      label: 'live query of "orders"',
      load: (signal) => {
        if (load) return load();
        open += 1;
        most = Math.max(most, open);
        return new Promise<unknown>((resolve, reject) => {
          loads.push({ signal, succeed: resolve, fail: reject });
        }).finally(() => (open -= 1));
      },
      options: readLiveQueryOptions(given, 'live query of "orders"'),
    },
    {
      channels: decoded,
      trust: new DeliveryTrust(listener),
      context,
      isListening: () => listener.currentStatus.state === 'listening',
      watch: () => () => undefined,
    },
  );
  const notify = (channel = 'orders', raw = ''): void =>
    listener.receive(new ReceivedNotification(channel, raw, 1, new Date()));
  return { query$, listener, clock, errors, loads, notify, mostAtOnce: () => most, open: () => open };
}

/** Collects what a subscriber is told. */
export function subscribe(query$: Observable<unknown>) {
  const seen: unknown[] = [];
  const subscription = query$.subscribe({
    next: (value) => seen.push(value),
    error: (error: unknown) => seen.push(error),
    complete: () => seen.push('complete'),
  });
  return { seen, leave: () => subscription.unsubscribe() };
}
