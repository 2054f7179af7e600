import type { PgDeliveryCause } from '../listener/delivery-verdict.js';
import type { PgHandlerBlock, PgNotifyFailure, PgNotifyState, PgNotifyStatus } from '../listener/pg-notify-status.js';
import { invalidOption, orElse, readOptions, shown } from '../option-checks.js';
import type { ChecksOf, OptionCheck } from '../option-checks.js';
import type { PgNotifyService } from '../pg-notify.service.js';
import { isUnavailable } from '../session/connection-failure.js';
import { withDeadline } from '../time/deadline.js';

class NoAnswer extends Error {}

/** From when on the health indicator reports a registration as down. */
export interface PgNotifyHealthOptions {
  /**
   * The usage of PostgreSQL's notification queue from which the registration counts as down, from 0 to 1.
   *
   * @default 0.5
   */
  readonly maxQueueUsage?: number;
  /**
   * How long a handler may be stuck before the registration counts as down, in milliseconds. A handler is stuck while
   * its gap method fails, or a run ignores its timeout. With `Infinity` the handler is only named.
   *
   * @default 60_000
   */
  readonly blockedAfter?: number;
}

const share: OptionCheck<number> = (given, place) => {
  if (typeof given === 'number' && given >= 0 && given <= 1) return given;
  throw invalidOption(place, `must be a number from 0 to 1, not ${shown(given)}`);
};

const duration: OptionCheck<number> = (given, place) => {
  if (typeof given === 'number' && given >= 0) return given;
  throw invalidOption(place, `must be a number of milliseconds, or Infinity, not ${shown(given)}`);
};

const OPTIONS = {
  maxQueueUsage: orElse(0.5, share),
  blockedAfter: orElse(60_000, duration),
} satisfies ChecksOf<PgNotifyHealthOptions>;

/** The report of the indicator under its key. It contains no host and no secret. */
export interface PgNotifyHealth {
  readonly status: 'up' | 'down';
  /** Why it is down. */
  readonly reason?: string;
  readonly state: PgNotifyState;
  /** When it entered this state, in ISO 8601. */
  readonly since: string;
  readonly delivery?: 'verified' | 'failing' | 'unknown';
  /** Why delivery is failing or unknown, if known. */
  readonly deliveryCause?: PgDeliveryCause;
  readonly channels: PgNotifyStatus['channels'];
  /** The stuck handlers; absent while there are none. */
  readonly blocked?: readonly {
    readonly handler: string;
    readonly reason: PgHandlerBlock['reason'];
    /** In ISO 8601. */
    readonly since: string;
  }[];
  /** From 0 to 1; absent without a connection, and if the role lacks the privilege. */
  readonly queueUsage?: number;
  /** The pid of the backend that most likely holds the queue back, if the usage is high. */
  readonly queueHeldBackBy?: number;
}

/**
 * The health of a registration, in the form of `@nestjs/terminus`, but without depending on it.
 *
 * ```ts
 * this.health.check([() => this.pgNotify.isHealthy('pg_notify')]);
 * ```
 */
export class PgNotifyHealthIndicator {
  /**
   * @internal Made by PgNotifyModule.
   * @param answerTimeout How long the server may take to answer, in milliseconds.
   */
  constructor(
    private readonly service: PgNotifyService,
    private readonly answerTimeout = 5_000,
  ) {}

  /**
   * It is up while the registration listens, the server answers within 5 s, delivery is not failing, the notification
   * queue has room, and no handler is stuck for longer than `blockedAfter`. A registration with `enabled: false` is up,
   * because it does not listen on purpose. Rejects only for invalid options, with a PgNotifyError of kind
   * `configuration`.
   */
  async isHealthy<Key extends string = 'pg_notify'>(
    key: Key = 'pg_notify' as Key,
    options: PgNotifyHealthOptions = {},
  ): Promise<Record<Key, PgNotifyHealth>> {
    const { maxQueueUsage, blockedAfter } = readOptions('isHealthy()', options, OPTIONS);
    const { state, since, delivery, channels, lastFailure, blocked } = this.service.status;
    const problems: string[] = [];
    if (state !== 'listening' && state !== 'disabled')
      problems.push(`the registration is ${state}${reasonOf(lastFailure)}`);
    if (delivery?.verdict === 'failing') problems.push(`notifications do not arrive (${delivery.cause})`);
    for (const { handler, reason, since: from } of blocked ?? []) {
      if (Date.now() - from.getTime() >= blockedAfter) problems.push(`the handler ${handler} stands still (${reason})`);
    }
    const queue = state === 'listening' ? await this.queue(problems, maxQueueUsage) : {};
    const health: PgNotifyHealth = {
      status: problems.length > 0 ? 'down' : 'up',
      ...(problems.length > 0 && { reason: problems.join('; ') }),
      state,
      since: since.toISOString(),
      ...(delivery && { delivery: delivery.verdict }),
      ...(delivery?.cause && { deliveryCause: delivery.cause }),
      channels,
      ...(blocked && { blocked: blocked.map((each) => blockOf(each)) }),
      ...queue,
    };
    return { [key]: health } as Record<Key, PgNotifyHealth>;
  }

  private async queue(
    problems: string[],
    maxQueueUsage: number,
  ): Promise<Pick<PgNotifyHealth, 'queueUsage' | 'queueHeldBackBy'>> {
    const timeout = this.answerTimeout;
    const expired = (): Error => new NoAnswer(`the server has not answered within ${timeout} ms`);
    try {
      const { usage, heldBackBy } = await withDeadline(this.service.queueUsage(), { timeout, expired });
      const culprit = heldBackBy === undefined ? '' : `, most likely held back by the backend ${heldBackBy}`;
      if (usage >= maxQueueUsage)
        problems.push(`the notification queue is ${Math.round(usage * 100)} % full${culprit}`);
      return { queueUsage: usage, ...(heldBackBy !== undefined && { queueHeldBackBy: heldBackBy }) };
    } catch (error) {
      // A server that refuses the question is alive. The listener has logged the missing privilege.
      if (isUnavailable(error)) return {};
      // The reason is in the status only, because it may name hosts.
      problems.push(error instanceof NoAnswer ? error.message : 'the server does not answer');
      return {};
    }
  }
}

/** A block without its message, which may quote the handler's error. */
function blockOf({ handler, reason, since }: PgHandlerBlock): NonNullable<PgNotifyHealth['blocked']>[number] {
  return { handler, reason, since: since.toISOString() };
}

/** The kind of the last failure. Its message may name hosts, so it is only in the status and the log. */
function reasonOf(failure: PgNotifyFailure | undefined): string {
  if (!failure) return '';
  if (failure.sqlState) return ` (SQLSTATE ${failure.sqlState})`;
  return failure.kind === 'configuration'
    ? ' (its settings cannot be used)'
    : ' (the server cannot be reached, or its connection was lost)';
}
