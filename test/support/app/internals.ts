import type { INestApplicationContext } from '@nestjs/common';
import { getPgNotifyToken } from 'nest-pg-notify';
import type { PgNotifyService } from 'nest-pg-notify';
import type { ChannelReconciler, ListeningSession } from '../../../lib/listener/channel-reconciler.js';
import type { DeliveryCheck } from '../../../lib/listener/delivery-check.js';
import type { ListeningLink } from '../../../lib/listener/listening-link.js';
import type { PgListener } from '../../../lib/listener/pg-listener.js';
import type { PgPublisher } from '../../../lib/publisher/pg-publisher.js';

/** Inner parts of a registration on PostgreSQL, which nothing public hands out: it is the test's privilege. */
export interface Internals {
  readonly listener: PgListener;
  readonly publisher: PgPublisher;
  /** The present listening session; reading it throws while there is none. */
  readonly session: ListeningSession;
  /** What asks the present session for channels; reading it throws while there is no session. */
  readonly reconciler: ChannelReconciler;
  /** Reading it throws when the registration checks no delivery. */
  readonly deliveryCheck: DeliveryCheck;
}

/** The inner parts of a registration of an application. */
export function internals({ app }: { readonly app: INestApplicationContext }, registration?: string): Internals {
  const service = app.get<PgNotifyService>(getPgNotifyToken(registration), { strict: false });
  const { listener, publisher } = service['transport'] as Pick<Internals, 'listener' | 'publisher'>;
  const link = (): ListeningLink => listener['link'] ?? missing('listening session');
  return {
    listener,
    publisher,
    get session() {
      return link().session;
    },
    get reconciler() {
      return link().reconciler;
    },
    get deliveryCheck() {
      return listener['check'] ?? missing('delivery check');
    },
  };
}

function missing(what: string): never {
  throw new Error(`There is no ${what}.`);
}
