import { channelName } from '../channel/pg-channel.js';
import type { PgChannel } from '../channel/pg-channel.js';
import type { PgHandlerKind } from '../pg-notify.diagnostics.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import type { ConsumerContext } from './consumer-context.js';
import type { CalledMethod, Run, RunRecord } from './handler-calls.js';
import { HandlerCounters } from './handler-counters.js';
import { HandlerRejection } from './handler-rejection.js';

/** A handler of notifications, gaps or wake-ups. */
export interface HandlerDefinition<Argument> extends CalledMethod<Argument> {
  readonly channel: string | PgChannel;
  /** Describes the failure of a run for its message. @default the message of what was thrown */
  readonly describe?: ((thrown: unknown, argument: Argument) => string) | undefined;
}

/** Counts the runs of one handler, and reports its failures. */
export class HandlerRecord<Argument> implements RunRecord<Argument> {
  readonly counters: HandlerCounters;
  /** The channel's name. */
  readonly channel: string;
  private hasFailed = false;

  constructor(
    private readonly definition: HandlerDefinition<Argument>,
    kind: PgHandlerKind,
    private readonly context: ConsumerContext,
  ) {
    this.channel = channelName(definition.channel);
    this.counters = new HandlerCounters(kind, definition.label, this.channel, context.diagnostics);
  }

  /** @internal */
  get isTimed(): boolean {
    return this.counters.areWatched;
  }

  /** @internal */
  succeeded(count: number, begun: number): void {
    this.counters.deliver(count, this.durationSince(begun));
    if (!this.hasFailed) return;
    this.hasFailed = false;
    this.context.errors.recovered(this.definition.label, this);
  }

  /** @internal Returns if the run ends without a failure. */
  ended(thrown: unknown, run: Run<Argument>): undefined {
    if (HandlerRejection.is(thrown)) return this.rejected(thrown, run);
    throw this.failed(thrown, run);
  }

  private durationSince(begun: number): number {
    return begun === 0 ? 0 : this.context.clock.now() - begun;
  }

  private failed(cause: unknown, { argument, count, begun }: Run<Argument>): PgNotifyError {
    const { channel } = this;
    const { label: handler, describe = messageOf } = this.definition;
    this.counters.fail(count, this.durationSince(begun));
    this.hasFailed = true;
    const message = `Handler ${handler} failed for the channel ${JSON.stringify(channel)}: ${describe(cause, argument)}`;
    const error = new PgNotifyError('handler', message, { channel, handler, cause });
    this.context.errors.report(error, this);
    return error;
  }

  /** Returns if the run ends. A rejected gap method has not read the state, so it must be called again. */
  private rejected(rejection: HandlerRejection, { count, begun }: Run<Argument>): undefined {
    const { counters, context, channel } = this;
    const { reason, isHandled } = rejection;
    counters.reject(count, this.durationSince(begun));
    const message = `A guard kept the handler ${this.definition.label} from running for the channel ${JSON.stringify(channel)}: ${messageOf(reason)}`;
    if (counters.kind !== 'gap' || isHandled) {
      context.logger.debug(message);
      return undefined;
    }
    context.logger.warn(
      `${message}. It is asked again, and the handlers of the same provider and channel wait until it lets the method run.`,
    );
    throw rejection;
  }
}
