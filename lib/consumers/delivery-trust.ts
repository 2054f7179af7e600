import { distinctUntilChanged, map, skip } from 'rxjs';
import type { PgNotifyStatus } from '../listener/pg-notify-status.js';
import type { ListeningTransport } from '../transport/pg-notify-transport.js';
import type { Polls } from './coalescing-runner.js';

/** Whether notifications can be relied on now. While they cannot, wake-ups and live queries poll often. */
export class DeliveryTrust {
  constructor(private readonly listener: Pick<ListeningTransport, 'currentStatus' | 'status$'>) {}

  /**
   * True while the registration is listening and delivery is verified. Without a delivery check, listening is enough.
   */
  get isGiven(): boolean {
    return isTrusted(this.listener.currentStatus);
  }

  /**
   * The polls of something that notifications wake.
   *
   * @param interval Returns the time between polls while trust is given; undefined if there are none then.
   * @param fallbackInterval The time between polls while trust is not given. Both are in milliseconds.
   */
  polls(interval: () => number | undefined, fallbackInterval: number): Polls {
    return {
      delay: () => (this.isGiven ? interval() : fallbackInterval),
      onChange: (call) => this.onChange(call),
    };
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
