/**
 * The architecture: which part of the repository may import which. The linter's rules (oxlint.config.mjs), the test of
 * those rules (test/unit/architecture.test.ts) and the drawing in CONTRIBUTING.md (`npm run arrows`) are made from here.
 *
 * A part may import whatever its arrows lead to, directly or through other parts, and nothing else. `⇢` allows
 * `import type` only. `everyone` means every part of lib/ that the target does not itself lead to. Behind `⇢` and behind
 * `everyone`, arrows are not followed further.
 */
export const ARROWS = `
index, testing → module → health → handlers → service → consumers
events → handlers, event-log
testing → events
event-log → consumers
consumers → transport → listener, publisher → session → channel, time
publisher → executor
triggers → executor, channel
cli → triggers, event-log, transport
everyone → errors, option-checks, options, tokens, diagnostics, context, log
tokens → channel
options ⇢ executor
diagnostics ⇢ listener, channel
context ⇢ time
service, tokens, log → @nestjs
everyone ⇢ pg

bench/ → test/ → sample-app/ → dev/
test/ → lib/
sample-app/ → nest-pg-notify
`.trim();

/** The parts that are files of lib/. Every other part is the folder of lib/ with its name. */
export const FILES = {
  index: ['index'],
  module: ['pg-notify.module', 'pg-notify-feature.module', 'pg-notify.module-definition', 'pg-notify.providers'],
  service: ['pg-notify.service', 'pg-notify.registrations', 'pg-notify.start', 'pg-notify.stats', 'pg-notify.parts'],
  errors: ['pg-notify.errors', 'printable'],
  'option-checks': ['option-checks', 'module-option-checks'],
  options: ['pg-notify.options', 'pg-notify.resolved-options'],
  tokens: ['pg-notify.tokens', 'standard-decorator'],
  diagnostics: ['pg-notify.diagnostics'],
  context: ['pg-notify.async-context', 'pg-notify.registration-context'],
  log: ['pg-notify.logger', 'pg-notify.error-route', 'pg-notify.options-watch'],
};

/** Each arrow by itself: `a, b → c, d` are four. */
const arrows = [];
for (const line of ARROWS.split('\n')) {
  const [start, ...steps] = line.split(/ (?=[→⇢] )/);
  let from = start.split(', ');
  for (const step of steps) {
    const to = step.slice(2).split(', ');
    arrows.push(...from.flatMap((a) => to.map((b) => ({ from: a, to: b, typesOnly: step.startsWith('⇢') }))));
    from = to;
  }
}

const names = [...new Set(arrows.flatMap(({ from, to }) => [from, to]))].filter((name) => name !== 'everyone');

/** What comes from npm, this library by its name included. */
export const PACKAGES = ['@nestjs', 'pg', 'nest-pg-notify'];
/** The folders of the repository, each with a slash at its end. */
export const FOLDERS = names.filter((name) => name.endsWith('/'));
/** The parts of lib/. */
export const PARTS = names.filter((name) => !PACKAGES.includes(name) && !FOLDERS.includes(name));

/** Everything outside of `part` that the table rules on: it allows `part` to import it, or refuses. */
export function targetsOf(part) {
  const targets = PARTS.includes(part)
    ? [...PARTS, ...PACKAGES, ...FOLDERS.filter((folder) => folder !== 'lib/')]
    : [...FOLDERS, 'nest-pg-notify'];
  return targets.filter((target) => target !== part);
}

/** What `part` may import: values (and their types), or types only. */
export function allowedOf(part) {
  const everyone = PARTS.includes(part) ? 'everyone' : undefined;
  const forEveryone = next(everyone, false).filter((target) => !reachOf(target).has(part));
  return {
    values: new Set([...reachOf(part), ...forEveryone]),
    types: new Set([...next(part, true), ...next(everyone, true)]),
  };
}

/** Where `part` leads, directly and through other parts. */
export function reachOf(part, reach = new Set()) {
  for (const to of next(part, false)) if (!reach.has(to)) reachOf(to, reach.add(to));
  return reach;
}

function next(part, typesOnly) {
  return arrows.filter((arrow) => arrow.from === part && arrow.typesOnly === typesOnly).map(({ to }) => to);
}
