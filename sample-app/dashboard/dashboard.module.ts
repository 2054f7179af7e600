import { Module } from '@nestjs/common';
import { DemoPolicyModule } from '../demo/demo-policy.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { MailModule } from '../mail/mail.module.js';
import { ActivityLog } from './activity.js';
import { DashboardController } from './dashboard.controller.js';
import { DashboardGateway } from './dashboard.gateway.js';
import { DashboardService } from './dashboard.service.js';
import { NaiveListener } from './naive-listener.js';
import { Summaries } from './summaries.js';

@Module({
  imports: [JobsModule, MailModule, DemoPolicyModule],
  providers: [Summaries, NaiveListener, ActivityLog, DashboardService, DashboardGateway],
  controllers: [DashboardController],
  exports: [NaiveListener],
})
export class DashboardModule {}
