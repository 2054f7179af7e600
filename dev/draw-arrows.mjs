// Draws the table of arrows in CONTRIBUTING.md: npm run arrows
import { readFileSync, writeFileSync } from 'node:fs';
import { ARROWS } from '../architecture.mjs';

const page = new URL('../CONTRIBUTING.md', import.meta.url);
writeFileSync(page, readFileSync(page, 'utf8').replace(/(?<=```arrows\n)[^]*?(?=\n```)/, ARROWS));
