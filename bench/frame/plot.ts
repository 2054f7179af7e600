import { writeFile } from 'node:fs/promises';
import * as vega from 'vega';
import * as vegaLite from 'vega-lite';

/** A point of a curve. Both axes are logarithmic. */
export interface Point {
  readonly curve: string;
  readonly x: number;
  readonly y: number;
}

export interface Plot {
  /** Drawn above the curves: what they show, in words. */
  readonly title: readonly string[];
  readonly x: string;
  readonly y: string;
  readonly points: readonly Point[];
}

/** Writes a plot as an SVG file. */
export async function writePlot(file: URL, { title, x, y, points }: Plot): Promise<void> {
  const spec: vegaLite.TopLevelSpec = {
    width: 520,
    height: 320,
    background: 'white',
    title: { text: [...title], anchor: 'start', fontSize: 12 },
    data: { values: points.map((point) => ({ ...point })) },
    mark: { type: 'line', point: true },
    encoding: {
      x: { field: 'x', type: 'quantitative', scale: { type: 'log' }, title: x },
      y: { field: 'y', type: 'quantitative', scale: { type: 'log' }, title: y },
      color: { field: 'curve', type: 'nominal', title: null, legend: { labelLimit: 300 } },
    },
  };
  const view = new vega.View(vega.parse(vegaLite.compile(spec).spec), { renderer: 'none' });
  await writeFile(file, `${await view.toSVG()}\n`);
  view.finalize();
}
