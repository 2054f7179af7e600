import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import ts from 'typescript';

const LIB = join(import.meta.dirname, '../../lib');
/** A literal, and perhaps what it means in words. */
const LITERAL = /^(-?[\d_.]+|Infinity|true|false|'[^']*')(?=$|,)/;

/** `PgLiveQueryOptions.minInterval: 0` for each default that the checks fill in, and for each that a comment names. */
const filledIn: string[] = [];
const documented: string[] = [];
const constants = new Map<string, string>();
const files = readdirSync(LIB, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ts.createSourceFile(file, readFileSync(join(LIB, file), 'utf8'), ts.ScriptTarget.ESNext, true));
for (const file of files) {
  for (const [, name = '', value = ''] of file.text.matchAll(/^(?:export )?const (\w+) = ([^;\n]+);/gm)) {
    constants.set(name, value);
  }
}
for (const file of files) visit(file);

function visit(node: ts.Node): void {
  if (ts.isInterfaceDeclaration(node)) readComments(node);
  if (ts.isSatisfiesExpression(node)) readChecks(node);
  ts.forEachChild(node, visit);
}

function readComments({ name, members }: ts.InterfaceDeclaration): void {
  for (const member of members) {
    const tag = ts.getJSDocTags(member).find(({ tagName }) => tagName.text === 'default');
    const text = tag && ts.getTextOfJSDocComment(tag.comment);
    if (text !== undefined && member.name) add(documented, `${name.text}.${member.name.getText()}`, text);
  }
}

function readChecks({ type, expression }: ts.SatisfiesExpression): void {
  const [, owner] = /^ChecksOf<(?:Pick<)?(\w+)/.exec(type.getText()) ?? [];
  if (owner === undefined || !ts.isObjectLiteralExpression(expression)) return;
  for (const property of expression.properties) {
    if (!ts.isPropertyAssignment(property) || !ts.isCallExpression(property.initializer)) continue;
    const { expression: check, arguments: given } = property.initializer;
    if (check.getText() !== 'orElse') continue;
    add(filledIn, `${owner}.${property.name.getText()}`, valueOf(given[0]!.getText()));
  }
}

/** Puts the values of constants into an expression. Of products, the result. */
function valueOf(expression: string): string {
  const text = expression.replace(/\b[A-Z_]+\b/g, (name) => constants.get(name) ?? name);
  if (!/^[\d_ ]+(\*[\d_ ]+)+$/.test(text)) return text;
  return String(text.split('*').reduce((product, factor) => product * Number(factor.replaceAll('_', '')), 1));
}

/** Leaves out what is not a literal, such as "no limit". */
function add(list: string[], option: string, value: string): void {
  const [literal] = LITERAL.exec(value) ?? [];
  if (literal !== undefined) list.push(`${option}: ${literal.startsWith("'") ? literal : literal.replaceAll('_', '')}`);
}

/** Defaults that the options' checks do not fill in. */
const ELSEWHERE = /\.(registration|name|ordering|maxKeys): /;

it('names the default in the comment of every option that has one, as the checks fill it in', () => {
  expect(filledIn.length).toBeGreaterThan(25);
  const owners = new Set(filledIn.map((option) => option.split('.')[0]));
  const ofCheckedOptions = documented.filter((option) => owners.has(option.split('.')[0]) && !ELSEWHERE.test(option));
  expect(ofCheckedOptions.toSorted()).toEqual(filledIn.toSorted());
});
