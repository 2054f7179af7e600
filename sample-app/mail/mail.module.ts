import { Module } from '@nestjs/common';
import { MailController } from './mail.controller.js';
import { MailServer } from './mail-server.js';
import { MailService } from './mail.service.js';
import { Mailer } from './mailer.js';

@Module({ providers: [MailServer, MailService, Mailer], controllers: [MailController], exports: [MailService] })
export class MailModule {}
