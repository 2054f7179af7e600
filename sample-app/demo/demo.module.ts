import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { DashboardModule } from '../dashboard/dashboard.module.js';
import { DemoController } from './demo.controller.js';
import { DemoPolicyModule } from './demo-policy.module.js';
import { SameOriginGuard } from './same-origin.guard.js';

@Module({
  imports: [DashboardModule, DemoPolicyModule],
  providers: [{ provide: APP_GUARD, useClass: SameOriginGuard }],
  controllers: [DemoController],
})
export class DemoModule {}
