import { setMaxListeners } from 'node:events';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { withEitherSignal } from '../time/abort.js';
import type { Clock } from '../time/clock.js';
import type { EventHold, EventShardStore } from './event-store.js';

/** The shard is another's by now: what was done is not written down, and nothing more is run. */
export class Fenced extends Error {
  constructor(consumer: string) {
    super(
      `The consumer ${consumer} was taken over by another instance, replayed or dropped, while this one worked for it: nothing of that is written down.`,
    );
  }
}

/** The time for which a shard is ours, by the database's clock. Ours, asked before each answer, is never ahead of it. */
export class EventLease {
  private touchedAt: number;

  /** @param askedAt When the shard was claimed, by our clock. */
  constructor(
    private readonly store: Pick<EventShardStore, 'renew' | 'lease'>,
    private readonly consumer: string,
    readonly epoch: string,
    private readonly clock: Clock,
    askedAt: number,
  ) {
    this.touchedAt = askedAt;
  }

  /** When it should be renewed, by our clock: a third of it is over then. */
  get renewAt(): number {
    return this.touchedAt + this.store.lease / 3;
  }

  /** Takes the answer to something that renews the lease. @throws Fenced */
  take(hold: EventHold, askedAt: number): 'held' | 'paused' {
    if (hold === 'fenced') throw new Fenced(this.consumer);
    this.touchedAt = Math.max(this.touchedAt, askedAt);
    return hold;
  }

  async renew(): Promise<'held' | 'paused'> {
    const askedAt = this.clock.now();
    return this.take(await this.store.renew(this.epoch), askedAt);
  }

  /** Whether it may be over, for all that we know. */
  get isDoubtful(): boolean {
    return this.clock.now() >= this.touchedAt + this.store.lease;
  }

  /**
   * Keeps the lease while `work` goes on; when it is lost, or a shutdown waits no longer, the signal is aborted.
   *
   * @param onLost Called when it is lost, with the reason.
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
      setMaxListeners(0, signal); // Each run beside the others may listen.
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
      // The work has ended.
    }
  }

  private unreachable(error: unknown): PgNotifyError {
    return new PgNotifyError(
      'connection',
      `The consumer ${this.consumer} could not renew its lease of ${this.store.lease} ms: ${messageOf(error)}`,
    );
  }
}
