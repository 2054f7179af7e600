import { allowedOf, FILES, FOLDERS, PACKAGES, PARTS, targetsOf } from './architecture.mjs';

// An override of oxlint replaces what an earlier one says of the same rule: each part gets its whole list of imports.
const importsOfParts = [...PARTS, ...FOLDERS.filter((folder) => folder !== 'lib/')].map((part) => ({
  files: FILES[part]?.map((file) => `lib/${file}.ts`) ?? [part.endsWith('/') ? `${part}**` : `lib/${part}/**`],
  rules: refuse(importsRefusedTo(part)),
}));

/** @type {import('oxlint').OxlintConfig} */
export default {
  plugins: ['typescript', 'unicorn', 'oxc', 'import', 'node', 'promise', 'jest'],
  categories: { correctness: 'error', suspicious: 'error' },
  options: { typeAware: true },
  ignorePatterns: ['dist', 'coverage', '.data'],
  rules: {
    'import/no-cycle': 'error',
    'import/no-unassigned-import': ['error', { allow: ['reflect-metadata'] }],
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/consistent-type-imports': 'error',
    'typescript/only-throw-error': 'error',
    'typescript/switch-exhaustiveness-check': 'error',
    'typescript/no-unsafe-type-assertion': 'off',
    'typescript/no-extraneous-class': ['error', { allowWithDecorator: true }],
    'unicorn/consistent-function-scoping': 'off',
    'no-await-in-loop': 'off',
    'import/no-named-as-default-member': 'off',
    'no-unmodified-loop-condition': 'off',
  },
  overrides: [
    { files: ['lib/**'], rules: { 'node/no-top-level-await': 'error', 'no-console': 'error' } },
    {
      files: ['lib/**'],
      rules: refuse([
        { group: ['**'], message: 'architecture.mjs does not know this part of lib/: it may import nothing.' },
      ]),
    },
    {
      files: ['lib/{channel,consumers,handlers,listener,transport}/**'],
      rules: {
        'no-restricted-globals': [
          'error',
          ...['performance', 'setTimeout', 'setInterval'].map((name) => ({
            name,
            message: 'Take the clock of the registration (RegistrationContext), which tests can run by hand.',
          })),
        ],
      },
    },
    ...importsOfParts,
    {
      files: ['lib/session/pg-client.ts'],
      rules: refuse(importsRefusedTo('session').filter(({ group }) => !group.includes('pg'))),
    },
    {
      files: ['test/**'],
      rules: {
        'typescript/no-floating-promises': 'error',
        'max-lines': ['error', 500],
        'jest/no-conditional-expect': 'off',
        'jest/no-standalone-expect': 'off',
      },
    },
    { files: ['sample-app/**', 'test/**'], rules: { 'typescript/consistent-type-imports': 'off' } },
  ],
};

function refuse(patterns) {
  return { 'no-restricted-imports': ['error', { patterns }] };
}

function importsRefusedTo(part) {
  const { values, types } = allowedOf(part);
  return targetsOf(part)
    .filter((target) => !values.has(target))
    .map((target) => ({
      group: globsOf(target),
      allowTypeImports: types.has(target),
      message: messageOf(part, target),
    }));
}

function globsOf(target) {
  if (PACKAGES.includes(target)) return [target, `${target}/**`];
  if (target.endsWith('/')) return [`../**/${target}**`];
  return FILES[target]?.map((file) => `**/${file}.js`) ?? [`**/${target}/**`];
}

function messageOf(part, target) {
  if (target === '@nestjs') return 'This part knows nothing of Nest: it is tested without an application.';
  if (target === 'pg') return 'Only session/pg-client.ts touches pg.';
  return `An import against the arrows of the architecture (CONTRIBUTING.md): ${part} may not import ${target}.`;
}
