import { Module } from '@nestjs/common';
import { Packer } from './packer.js';

@Module({ providers: [Packer] })
export class JobsModule {}
