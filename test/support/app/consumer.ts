import type { PgNotifyService } from 'nest-pg-notify';
import { Recorder } from '../recorder.js';

/** A consumer of one channel. */
export interface Consumer {
  /** What it was given, in order: `<channel>: <reason>` for a gap, and payloads. */
  readonly seen: Recorder<unknown>;
  unsubscribe(): void;
}

/** Subscribes to the gaps and notifications of a channel; several consumers may share one recorder. */
export function consume(
  { service }: { readonly service: PgNotifyService },
  channel: string,
  seen = new Recorder<unknown>(),
): Consumer {
  const gaps = service.gaps(channel).subscribe(({ reason }) => seen.push(`${channel}: ${reason}`));
  const notifications = service.listen(channel).subscribe(({ payload }) => seen.push(payload));
  return {
    seen,
    unsubscribe: () => {
      gaps.unsubscribe();
      notifications.unsubscribe();
    },
  };
}
