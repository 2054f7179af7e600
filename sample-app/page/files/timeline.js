import { number, seconds, time } from './format.js';

/** How many lines are kept. */
const LINES = 80;

/** For so long, notifications that follow one another are one line, in milliseconds. */
const TOGETHER = 10_000;

const DESCRIBE = {
  notifications: ({ counts }) => [
    '',
    `Notifications: ${[...counts].map(([channel, count]) => `${channel} ${number(count)}`).join(', ')}`,
  ],
  gap: ({ reason, length }) => [
    'warn',
    `Gap (${reason}${length === undefined ? '' : `, ${seconds(length)}`}): everything is read again`,
  ],
  state: ({ state }) => (state === 'listening' ? ['info', 'Listening'] : ['bad', `Not listening: ${state}`]),
  look: ({ reason, count }) => ['', `${LOOKS[reason]}${count > 1 ? ` (${number(count)} times)` : ''}`],
};

const LOOKS = {
  poll: 'Poll: the worker looks for jobs without a notification',
  retry: 'The worker could not reach the job queue, and tries again',
};

/** What has happened, the newest first. */
export class Timeline {
  /** The newest line, with what it says. */
  #newest;

  constructor(list) {
    this.list = list;
  }

  clear() {
    this.#newest = undefined;
    this.list.replaceChildren();
  }

  add(activity) {
    this.list.querySelector('.empty')?.remove();
    if (this.#newest && continues(this.#newest.activity, activity)) {
      this.#newest.activity = together(this.#newest.activity, activity);
    } else {
      this.#newest = { activity: together(undefined, activity), item: this.#addLine(activity.at) };
    }
    const [level, text] = DESCRIBE[activity.kind](this.#newest.activity);
    this.#newest.item.dataset.level = level;
    this.#newest.item.lastElementChild.textContent = text;
  }

  #addLine(at) {
    const item = document.createElement('li');
    const moment = document.createElement('time');
    moment.dateTime = at;
    moment.textContent = time(at);
    item.append(moment, document.createElement('span'));
    this.list.prepend(item);
    while (this.list.children.length > LINES) this.list.lastElementChild.remove();
    return item;
  }
}

function continues(before, { kind, reason, at }) {
  if (kind !== before.kind) return false;
  if (kind === 'look') return reason === before.reason;
  return kind === 'notifications' && Date.parse(at) - Date.parse(before.at) < TOGETHER;
}

function together(before, activity) {
  if (activity.kind === 'look') return { ...activity, count: (before?.count ?? 0) + 1 };
  if (activity.kind !== 'notifications') return activity;
  const counts = new Map(before?.counts);
  counts.set(activity.channel, (counts.get(activity.channel) ?? 0) + activity.count);
  return { ...activity, at: before?.at ?? activity.at, counts };
}
