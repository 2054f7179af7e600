import { Module } from '@nestjs/common';
import type { OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { ExpressAdapter } from '@nestjs/platform-express';
import type { ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The page loads nothing from elsewhere, and the browser sees to it. */
const setHeaders = (response: ServerResponse): void => {
  response.setHeader('Content-Security-Policy', "default-src 'self'");
};

/** Serves the page's files, which `nest build` copies, and the chart library from node_modules. */
@Module({})
export class PageModule implements OnModuleInit {
  constructor(private readonly host: HttpAdapterHost<ExpressAdapter>) {}

  onModuleInit(): void {
    const { httpAdapter } = this.host;
    const charts = dirname(createRequire(import.meta.url).resolve('uplot'));
    httpAdapter.useStaticAssets(join(import.meta.dirname, 'files'), { setHeaders });
    httpAdapter.useStaticAssets(charts, { prefix: '/uplot' });
  }
}
