import { Module } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { ExpressAdapter } from '@nestjs/platform-express';
import type { Server, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The page loads nothing from elsewhere, and the browser sees to it. */
const setHeaders = (response: ServerResponse): void => {
  response.setHeader('Content-Security-Policy', "default-src 'self'");
};

/** How long requests have to end when the shop is closed, in milliseconds. */
const GRACE = 2_000;

/** Serves the page's files, which `nest build` copies, and the chart library from node_modules. */
@Module({})
export class PageModule implements OnModuleInit, BeforeApplicationShutdown {
  constructor(private readonly host: HttpAdapterHost<ExpressAdapter>) {}

  onModuleInit(): void {
    const { httpAdapter } = this.host;
    const charts = dirname(createRequire(import.meta.url).resolve('uplot'));
    httpAdapter.useStaticAssets(join(import.meta.dirname, 'files'), { setHeaders });
    httpAdapter.useStaticAssets(charts, { prefix: '/uplot' });
  }

  /** Browsers open connections before they need them, and Node would wait for those. What is being answered has a while left. */
  beforeApplicationShutdown(): void {
    const server = this.host.httpAdapter.getHttpServer() as Server;
    setTimeout(() => server.closeAllConnections(), GRACE).unref();
  }
}
