import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Verdict } from './verdict.js';

export type FaultName = 'frozen' | 'killed' | 'restarted' | 'relay killed';

/** What a run has measured of one road. */
export interface Figures {
  readonly road: string;
  readonly broker: string;
  readonly clients: readonly string[];
  readonly acknowledgedBy: string;
  /** How long the faults went on. */
  readonly seconds: number;
  readonly figures: Partial<Record<FaultName, Verdict>>;
}

/** Where `npm run test:brokers -- --write` finds them. */
export const FIGURES = join(import.meta.dirname, '../../../.data/brokers');

export async function writeFigures({
  road,
  broker,
  clients,
  acknowledgedBy,
  seconds,
  figures,
}: Figures): Promise<void> {
  await mkdir(FIGURES, { recursive: true });
  const content = JSON.stringify({ road, broker, clients, acknowledgedBy, seconds, figures });
  await writeFile(join(FIGURES, `${road}.json`), content);
}
