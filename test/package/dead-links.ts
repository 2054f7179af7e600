import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { MarkdownPage } from '../../dev/markdown/markdown-page.js';

/**
 * Follows the links of all pages among the files of a folder, and returns those that lead nowhere, each as
 * `page → link: reason`. Links to other sites are not followed.
 *
 * `files` are the paths of the files in the folder, with slashes. A file that is not among them does not exist for the
 * readers of the pages, even if the folder has it.
 */
export async function findDeadLinks(folder: string, files: readonly string[]): Promise<string[]> {
  const names = files.filter((file) => file.endsWith('.md'));
  const pages = new Map<string, MarkdownPage>();
  for (const name of names) pages.set(name, new MarkdownPage(await readFile(join(folder, name), 'utf8')));
  return [...pages].flatMap(([name, page]) => [
    // Nobody would notice that a link in there is dead. A comment has none.
    ...page.html
      .filter((html) => !/^<!--[^]*-->$/.test(html))
      .map((html) => `${name} → ${html}: is raw HTML, whose links are not checked; write Markdown`),
    ...page.links.flatMap((link) => {
      const reason = reasonOf(link, { name, pages, files });
      return reason === undefined ? [] : `${name} → ${link}: ${reason}`;
    }),
  ]);
}

interface Surroundings {
  readonly name: string;
  readonly pages: ReadonlyMap<string, MarkdownPage>;
  readonly files: readonly string[];
}

/** Why a link leads nowhere, or undefined if it leads somewhere. */
function reasonOf(link: string, { name, pages, files }: Surroundings): string | undefined {
  if (/^([a-z][a-z\d+.-]*:|\/\/)/i.test(link)) return undefined; // Another site.
  const [path = '', anchor] = decodeURIComponent(link).split('#', 2);
  const target = path === '' ? name : posix.join(posix.dirname(name), path);
  if (path.startsWith('/') || target.startsWith('../')) return 'leads out of the folder';
  if (!files.includes(target)) return `there is no file ${target}`;
  if (anchor === undefined || pages.get(target)?.anchors.has(anchor)) return undefined;
  return `${target} has no heading #${anchor}`;
}
