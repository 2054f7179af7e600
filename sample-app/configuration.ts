import { ConfigModule } from '@nestjs/config';
import { z } from 'zod';

/** A variable that is set to an empty text counts as one that is not set. */
const variable = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((text) => (text === '' ? undefined : text), schema);

/** Digits only: Node would take another text for PORT as the name of a Unix socket. */
const wholeNumber = (most: number) => {
  const message = `takes a whole number from 0 to ${most}`;
  return z.string().regex(/^\d+$/, message).transform(Number).pipe(z.number().max(most, message));
};

const share = z.string().transform(Number).pipe(z.number('takes a number from 0 to 1').min(0).max(1));

/** What the environment, or a file `.env`, decides. Any Standard Schema would do in place of zod's. */
const schema = z.object({
  /** The port to serve; 0 takes a free one. */
  PORT: variable(wholeNumber(65_535).default(3_000)),
  /** The address to listen on. The default is reachable from this computer only. */
  HOST: variable(z.string().default('127.0.0.1')),
  /** The database. Without it the shop runs a PostgreSQL server of its own. */
  DATABASE_URL: variable(z.string().optional()),
  /** The folder in which that server keeps its data. */
  DATA_DIRECTORY: variable(z.string().default('.data')),
  /** How long a job takes, in milliseconds: long enough to be seen. */
  JOB_DURATION: variable(wholeNumber(60_000).default(50)),
  /** Which share of the attempts at a job fails. */
  JOB_FAILURE_RATE: variable(share.default(0.05)),
});

/** As in `config.get('PORT', { infer: true })`, where `config` is a `ConfigService<Configuration, true>`. */
export type Configuration = z.infer<typeof schema>;

/** Checks the configuration when it is called; a mistake fails the start and names the variable. */
export function configurationModule(): ReturnType<typeof ConfigModule.forRoot> {
  return ConfigModule.forRoot({ isGlobal: true, validationSchema: schema });
}
