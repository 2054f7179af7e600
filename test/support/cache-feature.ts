import { Controller, Injectable, Module } from '@nestjs/common';
import { definePgChannel, InjectPgChannel, OnPgGap, OnPgNotify, PgNotifyModule, PgNotifyService } from 'nest-pg-notify';
import type { PgGap, PgNotification } from 'nest-pg-notify';
import type { Observable } from 'rxjs';

export const Changes = definePgChannel<{ id: number }>('changes');

@Injectable()
export class Cache {
  readonly log: string[] = [];

  constructor(private readonly pgNotify: PgNotifyService) {}

  @OnPgNotify(Changes)
  async evict({ id }: { id: number }): Promise<void> {
    await Promise.resolve();
    this.log.push(`evict ${id}`);
    await this.pgNotify.notify('evicted', id);
  }

  @OnPgGap(Changes)
  reload({ reason, since }: PgGap): void {
    this.log.push(since ? `reload ${reason}, once well` : `reload ${reason}`);
  }
}

@Controller()
export class Dashboard {
  constructor(@InjectPgChannel('evicted') readonly evicted$: Observable<PgNotification<number>>) {}
}

/** A feature: a cache whose entries are evicted, and a page that shows which. */
@Module({ imports: [PgNotifyModule.forFeature(['evicted'])], providers: [Cache], controllers: [Dashboard] })
export class FeatureModule {}
