import GithubSlugger from 'github-slugger';
import MarkdownIt, { type Token } from 'markdown-it';

const parser = new MarkdownIt({ html: true });

/** A part of a page: a heading and what stands below it. */
export interface MarkdownSection {
  readonly title: string;
  readonly text: string;
}

/** A fenced block of code. */
export interface CodeBlock {
  /** The words after the fence: the language, and what else stands there. */
  readonly info: readonly string[];
  readonly code: string;
  /** The line of the page in which the code begins, counted from 1. */
  readonly line: number;
}

/** A page of Markdown, understood as GitHub and npm show it. */
export class MarkdownPage {
  /** The targets of its links and images, as they are written. */
  readonly links: readonly string[];
  /** The names that `#name` in a link can have: one for each heading. */
  readonly anchors: ReadonlySet<string>;
  /** Its raw HTML, piece by piece. Links in there are not part of `links`. */
  readonly html: readonly string[];
  /** Its fenced blocks of code. */
  readonly codeBlocks: readonly CodeBlock[];

  private readonly lines: readonly string[];
  private readonly headings: readonly { readonly level: number; readonly title: string; readonly line: number }[];

  constructor(markdown: string) {
    const blocks = parser.parse(markdown, {});
    const tokens = blocks.flatMap(withChildren);
    const targets = tokens.flatMap((token) => token.attrGet('href') ?? token.attrGet('src') ?? []);
    this.links = targets.map(String);
    this.html = tokens.filter(({ type }) => type.startsWith('html_')).map(({ content }) => content.trim());
    this.codeBlocks = tokens
      .filter(({ type }) => type === 'fence')
      .map(({ info, content, map }) => ({ info: info.split(' '), code: content, line: (map?.[0] ?? 0) + 2 }));
    this.lines = markdown.split('\n');
    this.headings = blocks.flatMap((token, index) =>
      token.type === 'heading_open'
        ? { level: Number(token.tag.slice(1)), title: textOf(blocks[index + 1]), line: token.map?.[0] ?? 0 }
        : [],
    );
    // One slugger for the page: it numbers headings that are alike.
    const slugger = new GithubSlugger();
    this.anchors = new Set(this.headings.map(({ title }) => slugger.slug(title)));
  }

  /** The sections that headings of this level begin; each ends before the next heading of its level or a higher one. */
  sections(level: number): MarkdownSection[] {
    return this.headings.flatMap((heading, index) => {
      if (heading.level !== level) return [];
      const next = this.headings.slice(index + 1).find((other) => other.level <= level);
      return {
        title: heading.title,
        text: this.lines
          .slice(heading.line + 1, next?.line)
          .join('\n')
          .trim(),
      };
    });
  }
}

function withChildren(token: Token): Token[] {
  return [token, ...(token.children ?? []).flatMap(withChildren)];
}

/** What a reader sees of a heading: the text of its links and its code, without the marks. */
function textOf(heading: Token | undefined): string {
  const visible = (heading?.children ?? []).filter(({ type }) => type === 'text' || type === 'code_inline');
  return visible.map(({ content }) => content).join('');
}
