import { setMaxListeners } from 'node:events';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { withEitherSignal } from '../time/abort.js';
import type { Clock } from '../time/clock.js';
import type { EventHold, EventShardStore } from './event-store.js';

/** Thrown when the shard has another owner or epoch. The last results were not recorded, and may happen again. */
export class Fenced extends Error {
  constructor(consumer: string) {
    super(
      `The consumer ${consumer} was taken over by another instance, replayed or dropped while this instance worked for it. The results of this work were not recorded.`,
    );
  }
}

/**
 * How long this instance still owns a shard. The lease counts by the database's clock from the moment of the renewal; here it
 * counts from the moment before the request, so it never lasts longer here than there.
 */
export class EventLease {
  private touchedAt: number;

  /** @param askedAt When the claim was sent, by the local clock. */
  constructor(
    private readonly store: Pick<EventShardStore, 'renew' | 'lease'>,
    private readonly consumer: string,
    readonly epoch: string,
    private readonly clock: Clock,
    askedAt: number,
  ) {
    this.touchedAt = askedAt;
  }

  /** When to renew, by the local clock: after a third of the lease. */
  get renewAt(): number {
    return this.touchedAt + this.store.lease / 3;
  }

  /** Records the result of a statement that renews the lease. @throws Fenced */
  take(hold: EventHold, askedAt: number): 'held' | 'paused' {
    if (hold === 'fenced') throw new Fenced(this.consumer);
    this.touchedAt = Math.max(this.touchedAt, askedAt);
    return hold;
  }

  async renew(): Promise<'held' | 'paused'> {
    const askedAt = this.clock.now();
    return this.take(await this.store.renew(this.epoch), askedAt);
  }

  /** Whether it may have expired. */
  get isDoubtful(): boolean {
    return this.clock.now() >= this.touchedAt + this.store.lease;
  }

  /**
   * Renews the lease while `work` runs. The signal is aborted if the lease is lost, or with `closing`.
   *
   * @param onLost Called with the reason if the lease is lost.
   */
  hold<T>(
    closing: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
    onLost: (reason: unknown) => void = () => undefined,
  ): Promise<T> {
    const lost = new AbortController();
    const ended = new AbortController();
    lost.signal.addEventListener('abort', () => onLost(lost.signal.reason), { once: true });
    void this.keep(lost, ended.signal);
    return withEitherSignal([closing, lost.signal], (signal) => {
      setMaxListeners(0, signal); // Each concurrent run may add a listener.
      return work(signal);
    }).finally(() => ended.abort());
  }

  /** Never rejects. */
  private async keep(lost: AbortController, ended: AbortSignal): Promise<void> {
    const { clock, store } = this;
    try {
      for (;;) {
        await clock.sleep(store.lease / 3, ended);
        await this.renew().catch((error: unknown) => {
          if (error instanceof Fenced) lost.abort(error);
          else if (this.isDoubtful) lost.abort(this.unreachable(error));
        });
      }
    } catch {
      // The sleep was aborted, because the work has ended.
    }
  }

  private unreachable(error: unknown): PgNotifyError {
    return new PgNotifyError(
      'connection',
      `The consumer ${this.consumer} could not renew its lease of ${this.store.lease} ms: ${messageOf(error)}`,
    );
  }
}
