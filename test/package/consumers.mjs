/**
 * The applications that the package is installed into. All versions are ranges, for npm to pick the newest of, unless
 * they are written out: those are the lowest that the package claims.
 *
 * `compilers` are pairs of the application's module format and of one of the `tsconfig` files in `fixtures`.
 */
const NEWEST = { pg: '8', rxjs: '7', 'reflect-metadata': '0.2' };
const LOWEST = { pg: '8.16.0', '@types/pg': '8.16.0', rxjs: '7.8.0', 'reflect-metadata': '0.1.13' };

/** What the CLI of Nest 12 and the newest of Nest 11 set up: `require()` of an ES module compiles from TypeScript 5.8 on. */
const NODENEXT = ['module', 'commonjs'].map((type) => ({ type, tsconfig: 'tsconfig.nodenext.json' }));

/** What the CLI of Nest 11.0 set up: TypeScript then finds types by the `types` of package.json, not by its `exports`. */
const CLASSIC = { type: 'commonjs', tsconfig: 'tsconfig.classic.json' };

export const CONSUMERS = [
  {
    name: 'Nest 12, newest',
    dependencies: { ...nest('12'), ...NEWEST, typescript: '~6.0' },
    compilers: NODENEXT,
  },
  {
    // What `nest new` of Nest 12 sets up.
    name: 'Nest 12 with Vitest 4',
    dependencies: { ...nest('12'), ...nestTesting('12'), ...NEWEST, typescript: '~6.0', vitest: '4' },
    vitest: { tsconfig: 'tsconfig.nodenext.json' },
  },
  {
    name: 'Nest 12, lowest',
    // 12.0.0 cannot be installed: its @nestjs/core asks for the peer @nestjs/common ^11.0.0.
    dependencies: { ...nest('12.0.1'), ...NEWEST, typescript: '~6.0' },
    compilers: NODENEXT,
  },
  {
    name: 'Nest 11, newest',
    dependencies: { ...nest('11'), ...NEWEST, typescript: '~5.9' },
    compilers: [...NODENEXT, CLASSIC],
  },
  {
    name: 'Nest 11, lowest',
    dependencies: { ...nest('11.0.0'), ...LOWEST, typescript: '5.7.3' },
    compilers: [NODENEXT[0], CLASSIC],
  },
  {
    name: 'Nest 11 with Jest 30',
    dependencies: { ...nest('11'), ...nestTesting('11'), ...NEWEST, typescript: '~5.9', jest: '30', 'ts-jest': '29' },
    jest: { tsconfig: 'tsconfig.nodenext.json' },
  },
  {
    name: 'Nest 11 with Jest 29',
    // The first ts-jest that compiles JavaScript of node_modules without `allowJs`.
    dependencies: {
      ...nest('11'),
      ...nestTesting('11'),
      ...NEWEST,
      typescript: '5.7.3',
      jest: '29',
      'ts-jest': '29.3.2',
    },
    jest: { tsconfig: 'tsconfig.classic.json' },
  },
];

function nest(version) {
  return { '@nestjs/common': version, '@nestjs/core': version, '@types/node': '20' };
}

function nestTesting(version) {
  return { '@nestjs/testing': version, '@nestjs/platform-express': version };
}
