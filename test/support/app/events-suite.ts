import { beforeAll } from '@jest/globals';
import { eventLog, PgEvents, PgEventsModule } from 'nest-pg-notify/events';
import type { PgEventsOptions } from 'nest-pg-notify/events';
import { appSuite } from './app-suite.js';
import type { AppSpec, AppSuite, AppSuiteOptions } from './app-suite.js';
import type { TestApp } from './test-app.js';

/** An application with an event log, and the service of the log. */
export interface EventsApp extends TestApp {
  readonly events: PgEvents;
}

export type EventsSpec = AppSpec & { readonly events?: PgEventsOptions };

export interface EventsSuite extends Omit<AppSuite, 'create' | 'start'> {
  /** An application with a registration and its event log, not initialised yet. */
  readonly create: (spec?: EventsSpec) => Promise<EventsApp>;
  /** The same, initialised. */
  readonly start: (spec?: EventsSpec) => Promise<EventsApp>;
}

/** Applications with an event log, in a database that has its tables. */
export function eventsSuite(options: AppSuiteOptions = {}): EventsSuite {
  const suite = appSuite(options);

  if (!options.bus) {
    beforeAll(async () => {
      await suite.database.query(eventLog().up);
    });
  }

  const create: EventsSuite['create'] = async ({ events = {}, imports = [], ...spec } = {}) => {
    const subject = await suite.create({ imports: [PgEventsModule.forRoot(events), ...imports], ...spec });
    return { ...subject, events: subject.app.get(PgEvents) };
  };
  const start: EventsSuite['start'] = async (spec) => {
    const subject = await create(spec);
    await subject.app.init();
    return subject;
  };
  return Object.assign(Object.create(suite) as AppSuite, { create, start });
}
