import { distinctUntilChanged, map, skip } from 'rxjs';
import type { PgNotifyStatus } from '../listener/pg-notify-status.js';
import type { ListeningTransport } from '../transport/pg-notify-transport.js';

/** Whether notifications can be relied on now. While they cannot, wake-ups and live queries poll often. */
export class DeliveryTrust {
  constructor(private readonly listener: Pick<ListeningTransport, 'currentStatus' | 'status$'>) {}

  /**
   * True while the registration is listening and delivery is verified. Without a delivery check, listening is enough.
   */
  get isGiven(): boolean {
    return isTrusted(this.listener.currentStatus);
  }

  /** Calls back when trust is given or lost. Returns a function that ends this. */
  onChange(call: () => void): () => void {
    const changes = this.listener.status$.pipe(map(isTrusted), distinctUntilChanged(), skip(1));
    const subscription = changes.subscribe(call);
    return () => subscription.unsubscribe();
  }
}

function isTrusted({ state, delivery }: PgNotifyStatus): boolean {
  return state === 'listening' && (delivery === undefined || delivery.verdict === 'verified');
}
