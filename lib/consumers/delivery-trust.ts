import { distinctUntilChanged, map, skip } from 'rxjs';
import type { PgNotifyStatus } from '../listener/pg-notify-status.js';
import type { ListeningTransport } from '../transport/pg-notify-transport.js';

/** Whether notifications can be relied on now. Where they cannot, what waits for them polls often. */
export class DeliveryTrust {
  constructor(private readonly listener: Pick<ListeningTransport, 'currentStatus' | 'status$'>) {}

  /** Listening, and verified; without a delivery check, listening has to do. */
  get isGiven(): boolean {
    return isTrusted(this.listener.currentStatus);
  }

  /** Calls when it is given or lost; returns the function that ends that. */
  onChange(call: () => void): () => void {
    const changes = this.listener.status$.pipe(map(isTrusted), distinctUntilChanged(), skip(1));
    const subscription = changes.subscribe(call);
    return () => subscription.unsubscribe();
  }
}

function isTrusted({ state, delivery }: PgNotifyStatus): boolean {
  return state === 'listening' && (delivery === undefined || delivery.verdict === 'verified');
}
