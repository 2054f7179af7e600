import type { PgEventConsumerState } from '../event-log/event-store.js';
import type { Style, Terminal } from './terminal.js';

/**
 * How long an event may wait while its consumer has no owner, in milliseconds. Instances that stop, start or crash leave a consumer
 * without an owner for less: a lease takes 15 s unless the option lease says otherwise.
 */
const LONGEST_HANDOVER = 30_000;

/** How one shard of a consumer is doing, in words. */
export interface ConsumerFinding {
  /** `problem`: somebody has to do something. `warning`: somebody should know of it. */
  readonly level: 'ok' | 'warning' | 'problem';
  /** Its name, and which shard if there are several. */
  readonly subject: string;
  readonly message: string;
  /** What to do; absent if nothing is to be done. */
  readonly remedy?: string;
}

/** @param maxLag How long the oldest event may have waited, in milliseconds; undefined for any time. */
export function consumerFindings(
  states: readonly PgEventConsumerState[],
  maxLag: number | undefined,
): readonly ConsumerFinding[] {
  return states.map((state) => {
    const isSharded = states.some(({ consumer, shard }) => consumer === state.consumer && shard > 0);
    const subject = isSharded ? `${state.consumer}/${state.shard}` : state.consumer;
    return { subject, message: messageOf(state), ...verdictOf(state, maxLag) };
  });
}

function verdictOf(state: PgEventConsumerState, maxLag = Infinity): Pick<ConsumerFinding, 'level' | 'remedy'> {
  const { consumer, isForeign, dead, oldestWaiting, paused, attempts } = state;
  const name = JSON.stringify(consumer);
  const isAbandoned = state.owner === undefined && !paused;
  const isLate = oldestWaiting > maxLag || (isAbandoned && oldestWaiting > LONGEST_HANDOVER);
  const level = isLate ? 'problem' : 'warning';
  if (isForeign)
    return { level: 'problem', remedy: 'The tables come from another cluster: nest-pg-notify events rebase' };
  if (dead > 0) return { level: 'problem', remedy: `See them: nest-pg-notify events dead ${name}` };
  if (paused) return { level, remedy: `Let it go on: nest-pg-notify events resume ${name}` };
  if (isAbandoned) {
    const remedy = `No instance runs it. Start one; if no application has it any more: nest-pg-notify events drop ${name}`;
    return { level, remedy };
  }
  if (isLate) return { level, remedy: 'Can its owner keep up?' };
  if (attempts > 0) return { level, remedy: 'It stands still until what has failed succeeds, or is given up.' };
  return { level: 'ok' };
}

function messageOf(state: PgEventConsumerState): string {
  const { waiting, oldestWaiting, retrying, dead, paused, attempts, lastError, owner, leaseRemaining = 0 } = state;
  const parts = [
    paused && 'paused',
    waiting > 0 ? `${waiting} waiting, the oldest for ${seconds(oldestWaiting)}` : '0 waiting',
    `${retrying} to be retried`,
    `${dead} dead`,
    attempts > 0 &&
      `${attempts} failed ${attempts === 1 ? 'attempt' : 'attempts'}${lastError === undefined ? '' : ` (${lastError})`}`,
    owner === undefined ? 'no owner' : `owned by ${owner}, whose lease has ${seconds(leaseRemaining)} left`,
  ];
  return `${parts.filter(Boolean).join('; ')}.`;
}

/** Seconds, with a digit behind the point below a minute. */
function seconds(milliseconds: number): string {
  const value = milliseconds / 1_000;
  return `${value < 60 ? value.toFixed(1) : Math.round(value)} s`;
}

const STYLES: Readonly<Record<ConsumerFinding['level'], Style>> = { ok: 'green', warning: 'yellow', problem: 'red' };

export function printConsumers(findings: readonly ConsumerFinding[], terminal: Terminal): void {
  const width = 2 + Math.max(0, ...findings.map(({ subject }) => subject.length));
  for (const { level, subject, message, remedy } of findings) {
    terminal.line([[STYLES[level], level.padEnd(9)], ['bold', subject.padEnd(width)], message]);
    if (remedy !== undefined) terminal.line([' '.repeat(9 + width), ['cyan', `→ ${remedy}`]]);
  }
  if (findings.length === 0) terminal.line(['The log has no consumers.']);
}
