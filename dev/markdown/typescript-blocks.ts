import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import ts from 'typescript';
import { MarkdownPage } from './markdown-page.js';

/** A page by its path in the repository, such as `docs/channels.md`. */
export interface PageSource {
  readonly path: string;
  readonly markdown: string;
}

/**
 * Compiles the TypeScript blocks of pages and returns what is wrong with them, each as `page:line: message`.
 *
 * A block is compiled as it stands, with the options of this repository, as if it were a file in `test/recipes/`: in the
 * folder of its page if there is one (`test/recipes/channels/` for `docs/channels.md`). So it may import the other files that the
 * page shows. A block that begins with the fence `ts fragment` is part of a file. It must be free of imports, by which
 * readers tell the two apart, and its syntax must be right. What is a file of `test/brokers/recipes/` is compiled there, by
 * `npm run test:brokers`, beside the packages that it needs.
 */
export function findBrokenBlocks(root: string, pages: readonly PageSource[]): string[] {
  const files = new Map<string, BlockFile>();
  const broken: string[] = [];
  const elsewhere = filesIn(join(root, 'test/brokers/recipes'));
  for (const { path, markdown } of pages) {
    for (const { info, code, line } of new MarkdownPage(markdown).codeBlocks) {
      if (!['ts', 'typescript', 'tsx'].includes(info[0]!)) continue;
      if (info.includes('fragment')) {
        const problem = problemOfFragment(code);
        if (problem !== undefined) broken.push(`${path}:${line}: ${problem}`);
      } else if (!elsewhere.has(code)) {
        // An empty export makes a module of a block that neither imports nor exports.
        files.set(join(folderOf(root, path), `block-of-${basename(path, '.md')}-${line}.ts`), {
          path,
          line,
          code: `${code}export {};\n`,
        });
      }
    }
  }
  return [...broken, ...compile(root, files)];
}

function filesIn(folder: string): ReadonlySet<string> {
  return new Set(readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8')));
}

interface BlockFile {
  readonly path: string;
  readonly line: number;
  readonly code: string;
}

/** The folder of the files that a page shows. README.md shows parts of what `docs/patterns.md` has as a whole. */
function folderOf(root: string, path: string): string {
  const recipes = join(root, 'test/recipes');
  const own = join(recipes, path === 'README.md' ? 'patterns' : basename(path, '.md'));
  return existsSync(own) ? own : recipes;
}

function compile(root: string, files: ReadonlyMap<string, BlockFile>): string[] {
  if (files.size === 0) return [];
  const config = ts.getParsedCommandLineOfConfigFile(
    join(root, 'tsconfig.json'),
    { noEmit: true },
    { ...ts.sys, onUnRecoverableConfigFileDiagnostic: (diagnostic) => expectNone(root, [diagnostic]) },
  );
  const options = config!.options;
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (name) => files.has(name) || disk.fileExists(name),
    readFile: (name) => files.get(name)?.code ?? disk.readFile(name),
    getSourceFile: (name, languageVersion, ...rest) => {
      const code = files.get(name)?.code;
      if (code === undefined) return disk.getSourceFile(name, languageVersion, ...rest);
      return ts.createSourceFile(name, code, languageVersion);
    },
  };
  // Declarations of packages that recipes import and nobody here installs.
  const declarations = ts.sys.readDirectory(join(root, 'test/recipes'), ['.d.ts'], [], ['*.d.ts']);
  const program = ts.createProgram([...files.keys(), ...declarations], options, host);
  expectNone(root, program.getOptionsDiagnostics());
  return [...files].flatMap(([name, { path, line }]) => {
    const source = program.getSourceFile(name)!;
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map((diagnostic) => {
      const offset = source.getLineAndCharacterOfPosition(diagnostic.start ?? 0).line;
      return `${path}:${line + offset}: ${textOf(diagnostic)}`;
    });
  });
}

function expectNone(root: string, [diagnostic]: readonly ts.Diagnostic[]): void {
  if (diagnostic) throw new Error(`${join(root, 'tsconfig.json')}: ${textOf(diagnostic)}`);
}

function textOf({ messageText }: ts.Diagnostic): string {
  return ts.flattenDiagnosticMessageText(messageText, '\n');
}

/** The places that a fragment may be taken from: a file or the body of a function, a class, an object. */
const PLACES: readonly ((code: string) => string)[] = [
  (code) => `async function* place() {\n${code}\n}`,
  (code) => code,
  (code) => `class Place {\n${code}\n}`,
  (code) => `const place = {\n${code}\n};`,
];

function problemOfFragment(code: string): string | undefined {
  if (/^import /m.test(code)) return 'A fragment with imports looks like a whole file: make it one, or leave them out.';
  const problems = PLACES.map((place) => {
    const { diagnostics } = ts.transpileModule(place(code), {
      reportDiagnostics: true,
      compilerOptions: { experimentalDecorators: true, target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext },
    });
    return diagnostics?.[0];
  });
  if (problems.some((problem) => problem === undefined)) return undefined;
  return `This fragment is no valid TypeScript anywhere: ${textOf(problems[0]!)}`;
}
