import type { Bench } from '../frame/bench.js';
import { writePlot, type Point } from '../frame/plot.js';
import type { Contestant, Scenario, Medians } from '../frame/scenario.js';
import { fitLine } from '../frame/statistics.js';
import { deliver, type Delivery } from '../receivers/delivery.js';
import { RECEIVERS, type ReceiverName } from '../receivers/loaders.js';

/** Something that grows while all else stays as it is. */
interface Axis {
  readonly name: string;
  /** What one more of it is called. */
  readonly unit: string;
  readonly values: readonly number[];
  readonly deliveryOf: (value: number) => Pick<Delivery, 'decode' | 'shape'> & Partial<Delivery>;
}

const JSON_OF_38_BYTES = { decode: 'json', shape: { before: '{"seq":', after: ',"kind":"updated","x":1}' } } as const;
const NUMBER = 7;

const COUNT = 100_000;

/** Enough for V8 to have compiled what is measured, and few enough for 1,000 handlers. */
const countFor = (consumers: number): number => Math.min(COUNT, Math.max(2_000, 2_000_000 / consumers));

const AXES: readonly Axis[] = [
  {
    name: 'channels',
    unit: 'channel',
    values: [1, 10, 100, 1_000, 10_000],
    deliveryOf: (channels) => ({ ...JSON_OF_38_BYTES, channels, count: COUNT }),
  },
  {
    name: 'handlers',
    unit: 'handler',
    values: [1, 10, 100, 1_000],
    deliveryOf: (consumers) => ({ ...JSON_OF_38_BYTES, consumers, count: countFor(consumers) }),
  },
  {
    name: 'payload',
    unit: 'byte',
    values: [10, 100, 1_000, 7_900],
    deliveryOf: (bytes) => ({
      decode: 'text',
      shape: { before: '', after: 'x'.repeat(bytes - NUMBER) },
      count: COUNT / 2,
      perStatement: 100,
    }),
  },
];

const CURVES: readonly ReceiverName[] = ['pg', 'nest-pg-notify, handler'];

const nameOf = (receiver: ReceiverName, axis: Axis, value: number): string => `${receiver}, ${axis.name}: ${value}`;

function contestantOf(receiver: ReceiverName, axis: Axis, value: number): Contestant {
  const { role } = RECEIVERS[receiver];
  return {
    name: nameOf(receiver, axis, value),
    role,
    ...(role !== 'floor' && { floor: nameOf('pg', axis, value) }),
    measure: async (bench: Bench) => {
      const delivery = { count: COUNT, perStatement: 1_000, ...axis.deliveryOf(value) };
      const count = bench.size(delivery.count, 500);
      const warmUp = count; // As many as will be measured, as in the other scenarios.
      const bufferSize = count + warmUp;
      const { cpuPerMessage, sequence } = await deliver(bench, { ...delivery, receiver, count, warmUp, bufferSize });
      return { figures: { cpu: cpuPerMessage / 1_000 }, sequence };
    },
  };
}

function pointsOf(medians: Medians, receiver: ReceiverName, axis: Axis): Point[] {
  return axis.values.flatMap((x) => {
    const y = medians[nameOf(receiver, axis, x)]?.['cpu'];
    return y === undefined ? [] : [{ curve: receiver, x, y }];
  });
}

/** The law by which the cost grows, for each receiver: that of the line that fits the measured points best. */
function lawsOf(medians: Medians, axis: Axis): string[] {
  return CURVES.flatMap((receiver) => {
    const points = pointsOf(medians, receiver, axis);
    if (points.length < 2) return [];
    const { base, slope } = fitLine(points);
    return `${receiver}: about ${base.toFixed(2)} µs a message and ${(slope * 1_000).toFixed(2)} ns for each ${axis.unit}`;
  });
}

function conclude(medians: Medians): readonly string[] {
  return AXES.flatMap((axis) => lawsOf(medians, axis).map((law) => `${axis.name}: ${law}`));
}

/** One plot for each axis. Its title says by which law the cost grows. */
async function report(medians: Medians, folder: URL): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const axis of AXES) {
    const file = `growth-${axis.name}.svg`;
    await writePlot(new URL(file, folder), {
      title: [`CPU time of the receiving process against ${axis.name}`, ...lawsOf(medians, axis)],
      x: axis.name,
      y: 'CPU, µs a message',
      points: CURVES.flatMap((receiver) => pointsOf(medians, receiver, axis)),
    });
    lines.push(`![${axis.name}](${file})`, '');
  }
  return lines;
}

const scenario: Scenario = {
  name: 'growth',
  measures:
    'CPU time for each message while the number of channels, the number of handlers or the length of the payload grows',
  figures: { cpu: { label: 'CPU', unit: 'µs a message', better: 'less' } },
  contestants: AXES.flatMap((axis) =>
    axis.values.flatMap((value) => CURVES.map((receiver) => contestantOf(receiver, axis, value))),
  ),
  targets: [],
  rounds: 3,
  conclude,
  report,
};

export default scenario;
