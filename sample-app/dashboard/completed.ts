import type { PgNotifyService } from 'nest-pg-notify';
import { endWith, ignoreElements } from 'rxjs';
import type { Observable } from 'rxjs';

/** Emits once when the application shuts down. A stream that ends then does not hold up the HTTP server. */
export function completed(pgNotify: PgNotifyService): Observable<true> {
  return pgNotify.status$.pipe(ignoreElements(), endWith(true as const));
}
