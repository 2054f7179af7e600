import { Module } from '@nestjs/common';
import { JobsController } from './jobs.controller.js';
import { JobsService } from './jobs.service.js';
import { Packer } from './packer.js';

@Module({ providers: [JobsService, Packer], controllers: [JobsController], exports: [Packer] })
export class JobsModule {}
