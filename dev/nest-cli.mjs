// Nest's CLI, for every Node that this repository supports. Node 20.19.0 to 20.19.4 reports a cycle for an ES module that
// is required while an import of it is under way (ERR_REQUIRE_CYCLE_MODULE), as `ora` is when the CLI starts. So it is
// loaded before.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const cli = createRequire(createRequire(import.meta.url).resolve('@nestjs/cli/package.json'));
cli('ora');
await import(pathToFileURL(cli.resolve('./bin/nest.js')).href);
