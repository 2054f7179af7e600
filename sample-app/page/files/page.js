import { Charts } from './charts.js';
import { number, seconds, time } from './format.js';
import { Timeline } from './timeline.js';

const byId = (id) => document.getElementById(id);
/** The stream says something every half second. When it has said nothing for so long, it has stopped. */
const SILENCE = 1_250;
const RETRY = 1_000;
const WATCH = 200;

// What is known. Only `showState()` and the like make something visible of it.

let stream;
let openedAt = 0; // When the present stream was asked for, by performance.now().
let heardAt = 0; // When it last said something.
let lostAt; // When it failed, by Date.now(); undefined while it has not.
let status;
let instance;
let ours; // { value, stale }
let naive;
let healed; // The last gap that was closed: { at, length }.
let differentSince;

const charts = new Charts({
  orders: byId('chart-orders'),
  jobs: byId('chart-jobs'),
  latency: byId('chart-latency'),
  queues: byId('chart-queues'),
});

const timeline = new Timeline(byId('timeline'));

// The stream, and whether it is one.

function connect() {
  stream?.close();
  stream = new EventSource('dashboard');
  openedAt = performance.now();
  status = undefined; // It may be another process that answers.
  for (const [type, take] of Object.entries(TAKE)) {
    stream.addEventListener(type, ({ data }) => {
      heardAt = performance.now();
      lostAt = undefined;
      take(JSON.parse(data));
    });
  }
  stream.addEventListener('open', () => timeline.clear()); // What has happened comes again.
  stream.addEventListener('error', () => {
    stream.close();
    lostAt ??= Date.now();
    setTimeout(connect, RETRY);
    showState();
  });
}

const TAKE = {
  instance(data) {
    instance = data;
    showInstance();
  },
  status(data) {
    status = data;
    showState();
  },
  summary(data) {
    ours = data;
    charts.summary(data.value);
    showOurs();
  },
  naive(data) {
    naive = data;
    showNaive();
  },
  dead: showDead,
  activity(data) {
    if (data.kind === 'gap') healed = data;
    if (data.kind === 'gap' || data.channel === 'product_changes') void loadProducts();
    timeline.add(data);
    showState();
  },
  latency({ at }) {
    charts.latency(Math.max(0, Date.now() - Date.parse(at)));
  },
  tick({ handlers, queries }) {
    charts.handlers(handlers);
    byId('ours').querySelector('[data-queries]').textContent = number(queries);
    showState();
  },
};

/** What is wrong between this page and the shop: then nothing is known about the shop and its database. */
function linkFailure() {
  if (!navigator.onLine) return { title: 'This browser is offline', detail: 'Nothing here is up to date.' };
  if (lostAt !== undefined) {
    const detail = `No answer since ${time(lostAt)}; this page tries again every second. Is it running? npm start`;
    return { title: 'The shop does not answer', detail };
  }
  if (heardAt === 0) return undefined;
  const silence = performance.now() - heardAt;
  if (silence < SILENCE) return undefined;
  return { title: 'The stream has stopped', detail: `The shop has sent nothing for ${seconds(silence)}.` };
}

function stateNow() {
  const failure = linkFailure();
  if (failure) return { ...failure, level: 'bad', isLinked: false };
  if (!status || heardAt < openedAt) return { title: 'Connecting to the shop …', level: 'idle', isLinked: false };
  return { ...databaseState(status), isLinked: true };
}

function databaseState({ state, since, attempts, delivery, failure }) {
  const because = /^[0-9A-Z]{5}$/.test(failure) ? ` (SQLSTATE ${failure})` : '';
  if (state === 'listening') {
    if (delivery?.verdict === 'failing') {
      return {
        level: 'bad',
        title: 'Notifications do not arrive',
        detail: `It listens, but in vain: ${delivery.cause}.`,
      };
    }
    const healing = healed && Date.now() - Date.parse(healed.at) < 15_000;
    const detail = healing
      ? `Healed at ${time(healed.at)}: notifications may have been lost${gapLength(healed)}, so everything was read again.`
      : 'Every change in the database shows here.';
    return delivery?.verdict === 'verified'
      ? { level: 'good', title: 'Listening', detail }
      : {
          level: 'warn',
          title: 'Listening, not yet checked',
          detail: 'Whether notifications arrive is being found out.',
        };
  }
  if (state === 'reconnecting' && attempts < 2) {
    const detail = `The connection was lost at ${time(since)}${because}, and is being opened again.`;
    return { level: 'bad', title: 'Reconnecting', detail };
  }
  if (state === 'reconnecting') {
    const detail = `Not listening since ${time(since)}: ${attempts} attempts have failed${because}. It tries again every few seconds, and reads everything again once it is back.`;
    return { level: 'bad', title: 'PostgreSQL is down', detail };
  }
  if (state === 'connecting') return { level: 'warn', title: 'Connecting to PostgreSQL', detail: '' };
  return { level: 'bad', title: 'Not listening', detail: `The shop is ${state}.` };
}

function gapLength({ length }) {
  return length === undefined ? '' : ` for ${seconds(length)}`;
}

// What is shown.

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text; // A screen reader announces what is set.
}

function showState() {
  const { level, title, detail = '', isLinked } = stateNow();
  const header = byId('header');
  if (level === 'good' && header.dataset.level === 'bad') forgetError();
  header.dataset.level = level;
  setText(byId('state-title'), title);
  setText(byId('state-detail'), detail);
  document.title = `Shop: ${title}`;
  setText(byId('delivery'), isLinked ? (status.delivery?.verdict ?? 'not checked') : 'not known');
  setText(byId('backend'), isLinked ? String(status.processId ?? 'none') : 'not known');
  setText(byId('since'), isLinked ? time(status.since) : 'not known');
  showFreshness(level, isLinked);
  showDifference();
}

function showInstance() {
  setText(byId('instance'), `process ${instance.processId}, port ${location.port || 80}`);
  for (const button of document.querySelectorAll('[data-refusal]')) {
    button.hidden = button.dataset.refusal in instance.refusals;
  }
  const reasons = [...new Set(Object.values(instance.refusals))];
  setText(byId('refusals'), reasons.length > 0 ? `Some buttons are missing here. ${reasons.join(' ')}` : '');
}

function showFreshness(level, isLinked) {
  if (!ours) return;
  const badge = byId('ours-badge');
  const isFresh = isLinked && level === 'good' && !ours.stale;
  const badgeLevel = isFresh ? 'good' : 'bad';
  badge.dataset.level = badgeLevel;
  byId('ours').dataset.level = badgeLevel;
  setText(badge, isFresh ? 'up to date' : isLinked ? 'may be outdated' : 'outdated');
}

function showFigures(card, { orders, shipped, revenue, newest }) {
  for (const [name, value] of Object.entries({ orders, shipped, revenue })) {
    setText(card.querySelector(`[data-figure="${name}"]`), number(value));
  }
  const rows = newest.map(({ id, region, amount, status: orderStatus }) =>
    row([`#${id}`], [region], [number(amount), 'number'], [orderStatus]),
  );
  if (rows.length === 0) rows.push(row(['No orders yet. Place one above.', 'empty', 4]));
  card.querySelector('tbody').replaceChildren(...rows);
}

function row(...cells) {
  const element = document.createElement('tr');
  for (const [text, className = '', columns = 1] of cells) {
    const cell = element.insertCell();
    cell.textContent = text;
    cell.className = className;
    cell.colSpan = columns;
  }
  return element;
}

function showOurs() {
  const { value } = ours;
  showFigures(byId('ours'), value);
  setText(byId('mails'), number(value.mails));
  setText(byId('mail-orders'), number(value.orders));
  setText(byId('jobs-waiting'), number(value.jobs.waiting));
  setText(byId('jobs-done'), number(value.jobs.done));
  setText(byId('jobs-failed'), number(value.jobs.failed));
  byId('retry-failed').hidden = value.jobs.failed === 0;
  showProducts();
  showState();
}

function showNaive() {
  if (!naive.summary) return;
  showFigures(byId('naive'), naive.summary);
  setText(byId('naive').querySelector('[data-queries]'), number(naive.queries));
}

/** Only this page can see that the plain listener is stale: it has ours to compare it with. */
function showDifference() {
  const missed = ours && naive?.summary && !ours.stale ? ours.value.orders - naive.summary.orders : 0;
  const shipped = ours && naive?.summary && !ours.stale ? ours.value.shipped - naive.summary.shipped : 0;
  if (missed <= 0 && shipped <= 0) {
    differentSince = undefined;
    setText(byId('difference'), '');
    return;
  }
  differentSince ??= performance.now();
  if (performance.now() - differentSince < 1_500) return; // One of them is a moment ahead.
  const what = missed > 0 ? `${number(missed)} ${missed === 1 ? 'order' : 'orders'}` : 'changes';
  setText(byId('difference'), `The plain listener misses ${what}, and nothing on it shows that.`);
}

let cached = new Map();

async function loadProducts() {
  try {
    const response = await fetch('products');
    if (!response.ok) return;
    cached = new Map((await response.json()).map(({ id, price }) => [id, price]));
    showProducts();
  } catch {
    // The shop does not answer, which the header says. The next change or gap comes here again.
  }
}

function showProducts() {
  const rows = (ours?.value.products ?? []).map(({ id, name, price }) =>
    row([name], [number(price), 'number'], [number(cached.get(id) ?? price), 'number']),
  );
  byId('products').replaceChildren(...rows);
}

function showDead({ value }) {
  setText(byId('dead-count'), number(value.length));
  byId('dead-empty').hidden = value.length > 0;
  byId('requeue-all').hidden = value.length < 2;
  byId('dead').replaceChildren(
    ...value.map(({ eventId, orderId, attempts, error }) => {
      const item = document.createElement('li');
      const text = document.createElement('span');
      text.textContent = `Order ${orderId}: ${error} (${attempts} attempts)`;
      const button = document.createElement('button');
      button.className = 'link';
      button.textContent = 'Try again';
      button.setAttribute('aria-label', `Try the mail for order ${orderId} again`);
      button.dataset.post = `mail/dead-letters/${eventId}/requeue`;
      button.dataset.done = `The mail for order ${orderId} is tried again.`;
      item.append(text, button);
      return item;
    }),
  );
}

// The buttons.

const ANSWER_SHOWN = 8_000;
let answerTimer;

function answer(text, level = '') {
  clearTimeout(answerTimer);
  byId('answer').dataset.level = level;
  setText(byId('answer'), text);
  answerTimer = setTimeout(() => setText(byId('answer'), ''), ANSWER_SHOWN);
}

/** What had failed because of what is over now. */
function forgetError() {
  if (byId('answer').dataset.level === 'bad') answer('');
}

async function send(method, path, body) {
  const request = { method, body, headers: { 'content-type': 'application/json' } };
  const response = await fetch(path, request);
  if (response.ok) return;
  if (response.status >= 500) throw new Error(`The shop could not do that: ${reasonOfFailure()}`);
  const { message } = await response.json().catch(() => ({}));
  throw new Error([message ?? `The shop answered ${response.status}.`].flat().join('; '));
}

function reasonOfFailure() {
  if (status && status.state !== 'listening') return 'PostgreSQL is away. Try again when the header is green.';
  return 'its log says why.';
}

async function press(button) {
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true'); // Not disabled: it keeps the focus.
  try {
    await send('POST', button.dataset.post, button.dataset.body);
    answer(button.dataset.done);
  } catch (error) {
    answer(error instanceof TypeError ? 'The shop does not answer.' : error.message, 'bad');
  } finally {
    button.removeAttribute('aria-disabled');
  }
}

document.addEventListener('click', ({ target }) => {
  const button = target.closest('button[data-post]');
  if (button) void press(button);
});

const mailServer = byId('mail-server');

async function changeMailServer() {
  try {
    await send('PUT', 'mail/server', JSON.stringify({ failureRate: Number(mailServer.value) }));
    answer(`The mail server ${mailServer.selectedOptions[0].textContent.trim()}.`);
  } catch (error) {
    answer(error.message, 'bad');
  }
}

mailServer.addEventListener('change', () => void changeMailServer());

async function loadMailServer() {
  const response = await fetch('mail/server').catch(() => undefined);
  if (response?.ok) mailServer.value = String((await response.json()).failureRate);
}

// Begin.

for (const event of ['online', 'offline']) addEventListener(event, showState);
setInterval(() => {
  if (heardAt > 0 && performance.now() - Math.max(heardAt, openedAt) > 5_000) connect();
  showState();
}, WATCH);
setInterval(() => charts.sample(), 1_000);
void loadMailServer();
void loadProducts();
connect();
