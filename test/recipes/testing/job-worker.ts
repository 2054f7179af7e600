import { Injectable, Module } from '@nestjs/common';
import { OnPgWakeUp, PgNotifyModule, PgNotifyService } from 'nest-pg-notify';

@Injectable()
export class JobWorker {
  readonly jobs: number[] = []; // Stands for a table.

  constructor(private readonly pgNotify: PgNotifyService) {}

  @OnPgWakeUp('job_queue')
  async work(): Promise<boolean> {
    const job = this.jobs.shift(); // SELECT … FOR UPDATE SKIP LOCKED LIMIT 1
    if (job === undefined) return false;
    await this.pgNotify.notify('job_done', { job });
    return true;
  }
}

@Module({
  imports: [PgNotifyModule.forRoot({ connection: process.env.DATABASE_URL! })],
  providers: [JobWorker],
})
export class AppModule {}
