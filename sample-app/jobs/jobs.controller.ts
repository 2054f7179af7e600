import { Body, Controller, Post } from '@nestjs/common';
import { z } from 'zod';
import { JobsService } from './jobs.service.js';

const enqueueJobs = z.object({ count: z.int().min(1).max(10_000) });

@Controller('jobs')
export class JobsController {
  constructor(private readonly jobs: JobsService) {}

  /** Jobs without an order. */
  @Post()
  async enqueue(@Body({ schema: enqueueJobs }) { count }: z.infer<typeof enqueueJobs>): Promise<{ enqueued: number }> {
    await this.jobs.enqueue('take stock', count);
    return { enqueued: count };
  }

  @Post('retry-failed')
  async retryFailed(): Promise<{ requeued: number }> {
    return { requeued: await this.jobs.retryFailed() };
  }
}
