import { describe, expect, it } from '@jest/globals';
import { Injectable, UsePipes } from '@nestjs/common';
import { ApplicationConfig, DiscoveryService, ModulesContainer } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { OnPgNotify } from 'nest-pg-notify';
import type { PgNotifyContext } from 'nest-pg-notify';
import { HandlerDiscovery } from '../../lib/handlers/handler-discovery.js';
import { HandlerInvoker } from '../../lib/handlers/handler-invoker.js';
import type { Invoke } from '../../lib/handlers/handler-invoker.js';

const CONTEXT = { kind: 'notification', channel: 'direct' } as PgNotifyContext;

@Injectable()
class Handlers {
  @OnPgNotify('direct')
  direct(...args: unknown[]): unknown {
    return args;
  }

  @OnPgNotify('direct')
  @UsePipes({ transform: (value) => `piped ${String(value)}` })
  enhanced(...args: unknown[]): unknown {
    return args;
  }
}

async function bind(method: keyof Handlers, globals?: ApplicationConfig): Promise<Invoke> {
  const module = await Test.createTestingModule({ providers: [Handlers] }).compile();
  const modules = module.get(ModulesContainer);
  const discovery = new HandlerDiscovery(new DiscoveryService(modules), modules, new ApplicationConfig());
  const handler = discovery.find().find((found) => found.method === method)!;
  return new HandlerInvoker(globals).bind(handler, 'somewhere');
}

describe('HandlerInvoker', () => {
  it('calls a handler without enhancers directly, without a promise around its result', async () => {
    const invoke = await bind('direct');
    expect(invoke(1, CONTEXT)).toEqual([1, CONTEXT]);
  });

  it('calls a handler directly with global enhancers switched on, as long as there are none', async () => {
    const invoke = await bind('direct', new ApplicationConfig());
    expect(invoke(1, CONTEXT)).toEqual([1, CONTEXT]);
  });

  it('calls a handler with enhancers through them', async () => {
    const invoke = await bind('enhanced');
    const result = invoke(1, 'the notification', CONTEXT);
    expect(result).toBeInstanceOf(Promise);
    expect(await result).toEqual(['piped 1', 'the notification', CONTEXT]);
  });
});
