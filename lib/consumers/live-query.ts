import { types } from 'node:util';
import { isObservable, Observable, ReplaySubject, share } from 'rxjs';
import type { Subscriber } from 'rxjs';
import { channelName } from '../channel/pg-channel.js';
import { isThenable } from '../channel/thenable.js';
import type { PgChannel } from '../channel/pg-channel.js';
import { messageOf, PgNotifyError } from '../pg-notify.errors.js';
import { CoalescingRunner } from './coalescing-runner.js';
import type { ConsumerContext } from './consumer-context.js';
import type { DecodedChannels } from './decoded-channels.js';
import type { DeliveryTrust } from './delivery-trust.js';
import type { PgLiveValue, ResolvedLiveQueryOptions } from './live-query-options.js';
import { abortOverdue } from './overdue.js';
import { ValueSnapshot } from './value-snapshot.js';

export interface LiveQueryDefinition<T> {
  readonly channels: readonly (string | PgChannel)[];
  /** The query's name in reports. */
  readonly label: string;
  readonly load: (signal: AbortSignal) => T | PromiseLike<T>;
  readonly options: ResolvedLiveQueryOptions<T>;
}

export interface LiveQueryParts {
  readonly channels: DecodedChannels;
  readonly trust: DeliveryTrust;
  readonly context: ConsumerContext;
  readonly isListening: () => boolean;
  /** Registers a runner whose load may be under way, until the returned function is called. */
  readonly watch: (runner: CoalescingRunner) => () => void;
}

/** The delay between a failed load and the next one, in milliseconds: 1, 2, 4 … 30 s. */
const retryDelay = (failures: number): number => Math.min(1_000 * 2 ** (failures - 1), 30_000);

/** Ensures that at most one load is under way, over all subscriptions. */
interface LoadPlace {
  /** Settles when the last load has settled; never rejects. */
  underWay: Promise<unknown>;
}

/** The value that was emitted last. */
interface ShownValue<T> {
  readonly value: T;
  /** The structure of the value at that time. */
  readonly snapshot: ValueSnapshot | undefined;
  readonly stale: boolean;
}

/**
 * A value that is loaded again whenever it may have changed: one load for any number of subscribers. With the option
 * `stale` it emits {@link PgLiveValue}.
 */
export function liveQuery<T>(
  definition: LiveQueryDefinition<T>,
  parts: LiveQueryParts,
): Observable<T | PgLiveValue<T>> {
  const place: LoadPlace = { underWay: Promise.resolve() };
  const source = new Observable<T | PgLiveValue<T>>((subscriber) =>
    // Loads serve all subscribers, so they must not run in the async context of the first one.
    parts.context.async.run(() => new LiveQueryLoads(definition, parts, place, subscriber).begin()),
  );
  return source.pipe(share({ connector: () => new ReplaySubject(1) }));
}

/** The loads from the first subscription to the last unsubscription. */
class LiveQueryLoads<T> {
  private readonly over = new AbortController();
  private readonly runner: CoalescingRunner;
  private shown: ShownValue<T> | undefined;
  private hasFailed = false;
  /** The number of gaps so far, and their number when the load of the last value began. */
  private gaps = 0;
  private gapsRead = 0;

  constructor(
    private readonly definition: LiveQueryDefinition<T>,
    private readonly parts: LiveQueryParts,
    private readonly place: LoadPlace,
    private readonly subscriber: Subscriber<T | PgLiveValue<T>>,
  ) {
    const { trust, context } = parts;
    const { minInterval, fallbackPollInterval } = definition.options;
    const polls = trust.polls(() => (this.shown ? undefined : fallbackPollInterval), fallbackPollInterval);
    const run = (): Promise<unknown> => this.run();
    this.runner = new CoalescingRunner({ run, errorDelay: retryDelay, polls, minInterval }, context);
  }

  /** Returns a function that ends it. */
  begin(): () => void {
    const { runner } = this;
    const { channels, trust, watch, isListening } = this.parts;
    const forget = watch(runner);
    // While the registration listens, each channel begins with a gap in a moment, which causes the first load.
    if (isListening()) runner.begin();
    else runner.wake('start');
    const unsubscribes = this.definition.channels.map((channel) =>
      // By its name, without a schema: something has changed, whatever the payload is.
      channels.subscribe(channelName(channel), {
        arrival: () => runner.wake('notification'),
        gap: () => {
          this.gaps += 1;
          runner.forgive(); // PostgreSQL is back, so a load that failed without it may succeed now.
          runner.wake('gap');
          this.showStale();
        },
        complete: () => this.subscriber.complete(),
      }),
    );
    const ignore = trust.onChange(() => this.showStale());
    return () => {
      this.over.abort();
      ignore();
      for (const unsubscribe of unsubscribes) unsubscribe();
      runner.stop();
      forget();
    };
  }

  private async run(): Promise<void> {
    await this.place.underWay;
    if (this.over.signal.aborted) return;
    const { gaps } = this;
    try {
      const value = await this.load();
      if (this.over.signal.aborted) return;
      if (this.hasFailed) this.parts.context.errors.recovered(this.definition.label);
      this.hasFailed = false;
      this.gapsRead = gaps;
      this.show(value);
    } catch (cause) {
      if (!this.over.signal.aborted) this.fail(`The load of the ${this.definition.label}`, cause);
    }
  }

  /** Settles when the load has settled, or at its timeout. */
  private async load(): Promise<T> {
    const { async, clock } = this.parts.context;
    const { timeout } = this.definition.options;
    const { signal } = this.over;
    const loading = new AbortController();
    const settled = new AbortController();
    const abort = (): void => {
      loading.abort(signal.reason);
      settled.abort(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    const running = async.run(async () => asValue(await this.definition.load(loading.signal)));
    this.place.underWay = running.then(ignored, ignored).then(() => signal.removeEventListener('abort', abort));
    if (timeout === undefined) return running;
    const tooLong = async (): Promise<never> => {
      await clock.sleep(timeout, settled.signal); // Rejects when the load has settled before.
      throw abortOverdue(loading, timeout);
    };
    try {
      return await Promise.race([running, tooLong()]);
    } finally {
      settled.abort();
    }
  }

  private fail(what: string, cause: unknown): void {
    const { label, options } = this.definition;
    const error = new PgNotifyError('handler', `${what} failed: ${messageOf(cause)}`, { handler: label, cause });
    if (options.onError === 'error') return this.parts.context.async.run(() => this.subscriber.error(error));
    this.parts.context.errors.report(error);
    this.hasFailed = true;
    this.showStale();
    throw error;
  }

  private show(value: T): void {
    const { isStale, shown } = this;
    if (shown && this.isSame(shown, value)) return this.showStale();
    const snapshot = this.definition.options.distinct === true ? new ValueSnapshot(value) : undefined;
    this.emit({ value, snapshot, stale: isStale });
  }

  private isSame(shown: ShownValue<T>, value: T): boolean {
    const { distinct } = this.definition.options;
    if (typeof distinct !== 'function') return shown.snapshot?.equals(value) === true;
    try {
      const isSame = this.parts.context.async.run(() => distinct(shown.value, value));
      // A promise is always truthy, so nothing would ever be emitted again.
      if (isThenable(isSame)) throw new Error('It returned a promise, and must return true or false at once.');
      return isSame;
    } catch (cause) {
      const { label } = this.definition;
      const message = `The function distinct of the ${label} failed, and the value is emitted: ${messageOf(cause)}`;
      this.parts.context.errors.report(new PgNotifyError('handler', message, { handler: label, cause }));
      return false;
    }
  }

  private get isStale(): boolean {
    return this.hasFailed || this.gapsRead !== this.gaps || !this.parts.trust.isGiven;
  }

  /** With the option `stale`, emits the last value again when it has become stale or no longer is. */
  private showStale(): void {
    const { shown, isStale } = this;
    if (this.definition.options.stale && shown && shown.stale !== isStale) this.emit({ ...shown, stale: isStale });
  }

  private emit(shown: ShownValue<T>): void {
    this.shown = shown;
    const { value, stale } = shown;
    this.parts.context.async.run(() => this.subscriber.next(this.definition.options.stale ? { value, stale } : value));
  }
}

/** @throws Error for what a load may return by mistake, and nobody would subscribe to or iterate. */
function asValue<T>(loaded: T): T {
  if (isObservable(loaded)) {
    throw new Error(
      'It returned an Observable, which is not a value. Return firstValueFrom() or lastValueFrom() of it.',
    );
  }
  if (!types.isGeneratorObject(loaded)) return loaded;
  throw new Error('It returned a generator, whose body runs only when somebody iterates. Return the value.');
}

function ignored(): void {}
