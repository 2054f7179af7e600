import { Module } from '@nestjs/common';
import { DemoPolicy } from './demo-policy.js';

@Module({ providers: [DemoPolicy], exports: [DemoPolicy] })
export class DemoPolicyModule {}
