/**
 * `npm run sample:load` while the shop runs: places orders for a minute, ends the listening connections in the middle of it,
 * and says what became of every order. It talks to the shop by HTTP alone, as a page does.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openEventStream } from './event-stream.js';
import { ProgressBar } from './progress-bar.js';
import { ShopLedger } from './shop-ledger.js';

const { values: options } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://localhost:3000' },
    seconds: { type: 'string', default: '60' },
    rate: { type: 'string', default: '10' },
  },
});
const [seconds, rate] = [Number(options.seconds), Number(options.rate)];
if (!(seconds > 0 && rate > 0)) throw new Error('--seconds and --rate take a number above 0.');

/** How long the shop may take to work off what is left, in seconds. */
const REST = 120;

const ledger = new ShopLedger();
const bar = new ProgressBar(process.stdout);
const streams = new AbortController();

async function post(path: string, body: object = {}): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${options.url}/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  const answer: unknown = await response.json();
  if (!response.ok) throw new Error(String((answer as { message?: string }).message ?? response.status));
  return answer;
}

async function placeOrder(): Promise<void> {
  const sentAt = Date.now();
  try {
    const { id } = (await post('orders', { region: 'eu', amount: 1 + Math.floor(Math.random() * 99) })) as {
      id: number;
    };
    ledger.place({ id, sentAt, answeredAt: Date.now() });
  } catch (error) {
    ledger.refused.push((error as Error).message);
  }
}

async function drive(): Promise<void> {
  const begin = Date.now();
  const done = (): number => (Date.now() - begin) / (seconds * 1_000);
  const inFlight = new Set<Promise<void>>();
  let killing: Promise<unknown> | undefined;
  for (let next = begin; done() < 1; next += 1_000 / rate) {
    await delay(Math.max(0, next - Date.now()));
    const order = placeOrder().finally(() => inFlight.delete(order));
    inFlight.add(order);
    if (done() > 0.5)
      killing ??= post('demo/kill-listeners').catch((error: Error) => console.log(`\n${error.message}`));
    bar.show(
      done(),
      `${ledger.orders} orders, ${ledger.shipped} shipped, ${ledger.mails} mails, ${ledger.gaps.length} gaps`,
    );
  }
  await Promise.all([...inFlight, killing]);
}

async function untilSettled(): Promise<void> {
  const end = Date.now() + REST * 1_000;
  while (!ledger.isSettled && Date.now() < end) {
    bar.show(1, `waiting for ${ledger.orders - ledger.mails - ledger.deadLetters} mails, and for the jobs`);
    await delay(200);
  }
}

/** Prints what was seen; returns what is wrong. */
function report(): string[] {
  const { covered, lost } = ledger.unannounced;
  const { latencies, gaps } = ledger;
  const at = (part: number): string => `${latencies[Math.floor((latencies.length - 1) * part)] ?? '–'} ms`;
  const lines = {
    'orders placed': `${ledger.orders}${ledger.refused.length > 0 ? ` (${ledger.refused.length} refused)` : ''}`,
    'announced at once': `${latencies.length}; half of them within ${at(0.5)}, 99 of 100 within ${at(0.99)} of the request`,
    'covered by a gap': `${covered}`,
    gaps: gaps.map(({ reason, from, to }) => (from > 0 ? `${reason}, ${to - from} ms` : reason)).join('; ') || 'none',
    shipped: `${ledger.shipped}${ledger.failedJobs > 0 ? ` (${ledger.failedJobs} jobs were given up)` : ''}`,
    'mails sent': `${ledger.mails}${ledger.deadLetters > 0 ? ` (${ledger.deadLetters} are dead letters)` : ''}`,
  };
  for (const [name, text] of Object.entries(lines)) console.log(`${name.padEnd(18)} ${text}`);
  return [
    ...(lost.length > 0
      ? [`${lost.length} orders were neither announced nor covered by a gap: ${lost.slice(0, 10).join(', ')}`]
      : []),
    ...(ledger.shipped + ledger.failedJobs < ledger.orders ? ['some orders were neither shipped nor given up'] : []),
    ...(ledger.mails + ledger.deadLetters < ledger.orders ? ['some mails were neither sent nor given up'] : []),
  ];
}

try {
  await openEventStream(`${options.url}/dashboard`, ledger.takeDashboard, streams.signal);
  await openEventStream(`${options.url}/orders/stream`, ledger.takeOrder, streams.signal);
  for (let waits = 0; !ledger.isReady && waits < 100; waits++) await delay(100);
  if (!ledger.isReady) throw new Error('The shop does not say how it is: is its database running?');
  const earlier = ledger.gaps.splice(0); // Of the time before: the dashboard shows them again.
  console.log(
    `${rate} orders a second for ${seconds} s${earlier.length > 0 ? `; earlier gaps: ${earlier.length}` : ''}.`,
  );
  await drive();
  await untilSettled();
  bar.end();
  const problems = report();
  console.log(problems.length === 0 ? 'Nothing was lost.' : `LOST: ${problems.join('; ')}.`);
  process.exitCode = problems.length === 0 ? 0 : 1;
} catch (error) {
  const { message, cause } = error as Error;
  console.error(
    `${message}${cause ? `: ${String((cause as Error).message || (cause as { code?: string }).code)}` : ''}`,
  );
  console.error(
    `Does the shop run at ${options.url}? Start it by "npm start", or name another place: -- --url http://…`,
  );
  process.exitCode = 2;
} finally {
  streams.abort();
}
