import { Body, Controller, Get, Param, Post, Put } from '@nestjs/common';
import { z } from 'zod';
import { MailServer } from './mail-server.js';
import { MailService } from './mail.service.js';

const mailServer = z.object({ failureRate: z.number().min(0).max(1) });

@Controller('mail')
export class MailController {
  constructor(
    private readonly mail: MailService,
    private readonly server: MailServer,
  ) {}

  @Get('server')
  async state(): Promise<z.infer<typeof mailServer>> {
    return { failureRate: await this.server.failureRate() };
  }

  @Put('server')
  async change(@Body({ schema: mailServer }) { failureRate }: z.infer<typeof mailServer>): Promise<void> {
    await this.server.setFailureRate(failureRate);
  }

  @Post('dead-letters/requeue')
  async requeueAll(): Promise<{ requeued: number }> {
    return { requeued: await this.mail.requeue() };
  }

  @Post('dead-letters/:id/requeue')
  async requeue(@Param('id', { schema: z.uuid() }) id: string): Promise<{ requeued: number }> {
    return { requeued: await this.mail.requeue([id]) };
  }
}
