import type { ConsumerContext } from '../consumers/consumer-context.js';
import { PgNotifyError } from '../pg-notify.errors.js';
import type { ClaimTurns } from './claim-turns.js';
import type { EventConsumerDefinition } from './event-consumer-definition.js';
import type { Fenced } from './event-lease.js';
import type { EventOutcome, EventShardStore, LostOwner } from './event-store.js';
import { EventTenure } from './event-tenure.js';

export interface ShardClaimParts {
  readonly store: EventShardStore;
  readonly context: ConsumerContext;
  /** Shared by the shards of the consumer. */
  readonly claims: ClaimTurns;
}

/** Claims a shard, and logs how it was lost and whose it was. */
export class ShardClaim {
  /** Why the shard is no longer ours, until the next claim knows more: it may have been dropped. */
  private fenced: Fenced | undefined;

  constructor(
    private readonly definition: EventConsumerDefinition,
    private readonly parts: ShardClaimParts,
  ) {}

  /** The shard is no longer ours. The next claim logs it. */
  lost(fenced: Fenced): void {
    this.fenced = fenced;
  }

  /** The loss needs no line of its own. */
  forgetLoss(): void {
    this.fenced = undefined;
  }

  /**
   * @param carefulFor How many events are handled one at a time after an owner crashed.
   * @returns The tenure; `later` if it is another shard's turn; undefined if another instance owns the shard.
   * @throws PgNotifyError of kind `configuration` if the tables were made by another database cluster.
   */
  async take(
    carefulFor: number,
    onSettled: (outcome: EventOutcome) => void,
  ): Promise<EventTenure | 'later' | undefined> {
    const { definition } = this;
    const { store, context, claims } = this.parts;
    const tenure = await claims.take(() =>
      EventTenure.begin({ definition, store, clock: context.clock, carefulFor, onSettled }),
    );
    if (tenure === 'later') return tenure;
    if (this.fenced) context.logger.warn(this.fenced.message);
    this.fenced = undefined;
    if (tenure?.isForeign) {
      await store.release(tenure.epoch);
      throw new PgNotifyError(
        'configuration',
        'The tables of the event log come from another database cluster, where their cursors were made: after a restore or a copy run "npx nest-pg-notify events rebase" once.',
      );
    }
    if (tenure?.lost) context.logger.warn(takeover(definition, tenure.lost));
    return tenure;
  }
}

function takeover({ name, label, shards }: EventConsumerDefinition, { name: owner, expiredFor }: LostOwner): string {
  const what = `${shards > 1 ? 'a shard of ' : ''}the consumer ${name} (${label})`;
  const seconds = (expiredFor / 1_000).toFixed(1);
  return `This instance has taken over ${what} from the instance ${owner}, which crashed, hangs or cannot reach the database: it did not renew its lease, which ended ${seconds} s ago.`;
}
