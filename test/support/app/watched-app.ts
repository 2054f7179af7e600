import type { PgGap, PgNotifyStatus } from 'nest-pg-notify';
import { eventually, Recorder } from '../recorder.js';
import type { TestApp } from './test-app.js';

/** An application that listens to the channel `watched`, and what it has reported since {@link watched} was called. */
export interface WatchedApp extends TestApp {
  /** The changes of state, in order. */
  readonly states: Recorder<PgNotifyStatus>;
  /** What consumers of the channel `watched` were given, in order: the reasons of gaps, and payloads. */
  readonly seen: Recorder<unknown>;
  readonly gaps: Recorder<PgGap>;
}

/** Records what an application reports. Call it before the application is initialised, to see its start. */
export function watched(subject: TestApp): WatchedApp {
  const states = new Recorder<PgNotifyStatus>();
  const seen = new Recorder<unknown>();
  const gaps = new Recorder<PgGap>();
  const { service } = subject;
  service.status$.subscribe((status) => {
    if (states.items.at(-1)?.state !== status.state) states.push(status);
  });
  service.gaps('watched').subscribe((gap) => {
    gaps.push(gap);
    seen.push(gap.reason);
  });
  service.listen('watched').subscribe(({ payload }) => seen.push(payload));
  return { ...subject, states, seen, gaps };
}

/** Sends until a notification has arrived: after a fault, a connection that sends may be lost as well. */
export async function expectDelivery({ service, seen }: WatchedApp, payload: string): Promise<void> {
  await eventually(
    () => service.notify('watched', payload).then(() => 'sent', String),
    (outcome) => outcome === 'sent',
  );
  await seen.until((items) => items.includes(payload));
}
