import uPlot from './uplot/uPlot.esm.js';

/** How many seconds a chart shows. */
const WINDOW = 120;
const HEIGHT = 150;

const probe = document.createElement('i');
probe.hidden = true;
document.body.append(probe);

/** What a color of the style sheet is at this moment: a canvas knows no variables, and nothing of light and dark. */
function colorOf(name) {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

const seriesOf = (index) => `--series-${1 + (index % 6)}`;

/** One chart with a sample a second, and a legend that says the newest values. */
class Chart {
  constructor(figure, names) {
    this.figure = figure;
    this.names = names;
    this.rows = []; // [second, value of each series]
    this.legend = document.createElement('ul');
    this.legend.className = 'legend';
    this.place = document.createElement('div');
    this.place.setAttribute('role', 'img');
    figure.append(this.legend, this.place);
    this.draw();
    new ResizeObserver(() => this.plot.setSize({ width: this.width, height: HEIGHT })).observe(figure);
  }

  get width() {
    return this.place.clientWidth || 300;
  }

  /** Colors differ between light and dark, so a change of that draws it anew. */
  draw() {
    this.plot?.destroy();
    const axis = { stroke: colorOf('--soft'), grid: { stroke: colorOf('--line'), width: 1 }, ticks: { show: false } };
    this.plot = new uPlot(
      {
        width: this.width,
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { time: true, range: () => [Date.now() / 1_000 - WINDOW, Date.now() / 1_000] },
          y: { range: (_, __, most) => [0, Math.max(4, (most ?? 0) * 1.15)] },
        },
        axes: [
          { ...axis, values: '{HH}:{mm}:{ss}', space: 90, size: 28 },
          { ...axis, size: 46, values: (_, values) => values.map((value) => value.toLocaleString('en-US')) },
        ],
        series: [
          {},
          ...this.names.map((label, index) => ({
            label,
            stroke: colorOf(seriesOf(index)),
            width: 2,
            points: { show: true, size: 4 },
            spanGaps: true,
          })),
        ],
      },
      this.data,
      this.place,
    );
    this.name();
  }

  get data() {
    return [0, ...this.names.map((_, index) => index + 1)].map((column) =>
      this.rows.map((each) => each[column] ?? null),
    );
  }

  add(values) {
    const now = Date.now() / 1_000;
    this.rows.push([now, ...values]);
    while (this.rows[0][0] < now - WINDOW) this.rows.shift();
    this.plot.setData(this.data);
    this.name();
  }

  /** Says the newest value of each series. */
  name() {
    const values = this.names.map((_, index) => this.rows.findLast((row) => row[index + 1] !== undefined)?.[index + 1]);
    const texts = this.names.map((name, index) => `${name}: ${values[index] ?? '–'}`);
    this.legend.replaceChildren(
      ...texts.map((text, index) => {
        const item = document.createElement('li');
        item.textContent = text;
        item.style.setProperty('--color', `var(${seriesOf(index)})`);
        return item;
      }),
    );
    const title = this.figure.querySelector('figcaption').textContent;
    this.place.setAttribute('aria-label', `${title}, the last two minutes. Now: ${texts.join(', ')}`);
  }
}

/** The charts of the page. They are told what is new when it is, and sample it once a second. */
export class Charts {
  constructor(figures) {
    this.queuesFigure = figures.queues;
    this.orders = new Chart(figures.orders, ['orders']);
    this.jobs = new Chart(figures.jobs, ['waiting', 'done since this page is open']);
    this.latencies = new Chart(figures.latency, ['ms']);
    this.history = []; // [moment, number of orders]
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      for (const chart of [this.orders, this.jobs, this.latencies, this.queues]) chart?.draw();
    });
  }

  summary({ orders, jobs }) {
    this.totals = { orders, jobs };
    this.doneBefore ??= jobs.done;
  }

  latency(milliseconds) {
    this.slowest = Math.max(this.slowest ?? 0, milliseconds);
  }

  handlers(handlers) {
    this.waiting = handlers.map(({ waiting, running }) => waiting + running);
    this.queues ??= new Chart(
      this.queuesFigure,
      handlers.map(({ handler, kind }) => (kind === 'gap' ? `${handler} (gap)` : handler)),
    );
  }

  sample() {
    if (this.totals) {
      const { orders, jobs } = this.totals;
      const now = Date.now();
      this.history.push([now, orders]);
      while (this.history[0][0] < now - 60_000) this.history.shift();
      this.orders.add([orders - this.history[0][1]]);
      this.jobs.add([jobs.waiting, jobs.done - this.doneBefore]);
    }
    this.latencies.add([this.slowest]);
    this.slowest = undefined;
    if (this.queues) this.queues.add(this.waiting);
  }
}
