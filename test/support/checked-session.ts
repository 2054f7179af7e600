import { ChannelReconciler } from '../../lib/listener/channel-reconciler.js';
import { DeliveryCheck } from '../../lib/listener/delivery-check.js';
import type { DeliveryCheckOptions, DeliverySender } from '../../lib/listener/delivery-check.js';
import { readFacts } from '../../lib/session/session-facts.js';
import type { SessionFacts } from '../../lib/session/session-facts.js';
import type { Clock } from '../../lib/time/clock.js';
import { FakeSession } from './fake-server.js';

const ANNOUNCED_PID = 7;
const SENDER_PID = 8;

/** How long a notification may take until it has missed, in milliseconds. */
export const DELIVERY_TIMEOUT = 3_000;

interface CheckedSession {
  readonly clock: Clock;
  /** The session is behind a pooler if its backend is not the announced one, 7. */
  readonly facts?: SessionFacts;
  readonly onVerdict?: DeliveryCheckOptions['onVerdict'];
  readonly openSender: (session: FakeSession, isRepeated: boolean) => Promise<DeliverySender>;
}

/** A session without channels and the delivery check that observes it, which the test runs. */
export function checkedSession({ clock, facts, onVerdict = () => undefined, openSender }: CheckedSession) {
  const session = new FakeSession(ANNOUNCED_PID, (notification) => check.observe(notification, end), clock, facts);
  const reconciler = new ChannelReconciler({
    session,
    wanted: new Map(),
    timeout: 1_000,
    clock,
    onAcknowledged: () => undefined,
    onRefused: () => undefined,
    onSettled: () => undefined,
  });
  const end = { session, reconciler, isDirect: session.facts.backendPid === session.processId };
  const check: DeliveryCheck = new DeliveryCheck({
    interval: 60_000,
    timeout: DELIVERY_TIMEOUT,
    clock,
    onVerdict,
    openSender: (_, isRepeated) => openSender(session, isRepeated),
  });
  return { session, reconciler, end, check };
}

/** The second connection of a check, on which every NOTIFY is committed at once. */
export function fakeSender(
  session: FakeSession,
  { facts = {}, onSent }: { readonly facts?: object; readonly onSent: (channel: string, payload: string) => void },
): DeliverySender {
  return {
    endpoint: 'sender:5432',
    announcedPid: SENDER_PID,
    notify: (channel, payload) => {
      session.listening.add(channel);
      onSent(channel, payload);
      return Promise.resolve(readFacts({ backend_pid: SENDER_PID, ...facts }));
    },
    close: () => Promise.resolve(),
  };
}
