import { Global, Module } from '@nestjs/common';
import { Database } from './database.js';
import { DatabaseServer } from './database-server.js';

@Global()
@Module({ providers: [DatabaseServer, Database], exports: [Database, DatabaseServer] })
export class DatabaseModule {}
