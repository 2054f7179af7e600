import type { IncomingHttpHeaders } from 'node:http';

/**
 * Whether a request comes from a page of this shop. Browsers send `Origin` with whatever a page of another origin posts, and
 * a page cannot change it; programs such as curl send none, and are let in.
 */
export function isOfSameOrigin({ origin, host }: Pick<IncomingHttpHeaders, 'origin' | 'host'>): boolean {
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
}
