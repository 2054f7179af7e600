import { describe, expect, it } from '@jest/globals';
import { InjectPgChannel, InjectPgNotify, OnPgGap, OnPgNotify, OnPgWakeUp } from 'nest-pg-notify';
import { OnPgEvent } from 'nest-pg-notify/events';

describe('a decorator in a place where it can do nothing', () => {
  const decorators = [
    ["@OnPgNotify('orders')", OnPgNotify('orders')],
    ["@OnPgGap('orders')", OnPgGap('orders')],
    ["@OnPgWakeUp('orders')", OnPgWakeUp('orders')],
  ] as const;
  const place = (decorator: unknown, ...args: unknown[]) => {
    return () => (decorator as (...given: unknown[]) => void)(...args);
  };

  it.each(decorators)('says what to write: %s', (written, decorator) => {
    class Handlers {
      evict = (): void => undefined;
    }
    const { prototype } = Handlers;
    const refused = (problem: string) => expect.objectContaining({ kind: 'configuration', message: problem });
    const cases: [args: unknown[], problem: string][] = [
      [
        [prototype, 'evict', undefined], // evict = () => { … };
        `${written} stands on evict, which is a property of Handlers: write it as a method, evict() { … }, not as a property that holds a function.`,
      ],
      [
        [prototype, 'evict', { get: () => undefined }],
        `${written} stands on evict, which is an accessor of Handlers: write it as a method, evict() { … }.`,
      ],
      [
        [prototype, 'evict', { value: 7 }],
        `${written} stands on evict, which is a property of Handlers: write it as a method, evict() { … }, not as a property that holds a function.`,
      ],
      [
        [Handlers, 'evict', { value: () => undefined }],
        `${written} stands on evict, which is static in Handlers: only instances that Nest makes have handlers. Remove "static".`,
      ],
      [[Handlers], `${written} stands on the class Handlers: move it to the method that handles.`],
      [[prototype, 'evict', 0], `${written} stands on a parameter of evict: move it to the method.`],
      [
        [prototype, Symbol('secret'), { value: () => undefined }],
        `${written} stands on Symbol(secret), and Nest finds methods by their names: give it one, such as evict() { … }.`,
      ],
      [
        [() => undefined, { kind: 'method', name: 'evict', static: false, private: false }],
        `${written} on evict was compiled as a standard decorator, and Nest works with the older kind: set "experimentalDecorators": true in the tsconfig.json that compiles this file (legacyDecorator for SWC).`,
      ],
      [
        [undefined, { kind: 'field', name: '#evict', static: false, private: true }],
        `${written} on #evict was compiled as a standard decorator, and Nest works with the older kind: set "experimentalDecorators": true in the tsconfig.json that compiles this file (legacyDecorator for SWC).`,
      ],
    ];
    for (const [args, problem] of cases) {
      let thrown: unknown;
      try {
        place(decorator, ...args)();
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toEqual(refused(problem));
    }
  });

  it.each([
    ['@OnPgNotify', OnPgNotify],
    ['@OnPgGap', OnPgGap],
    ['@OnPgWakeUp', OnPgWakeUp],
    ['@OnPgEvent', OnPgEvent],
  ])('says what to write in place of something that is no channel: %s', (written, decorator) => {
    class Handlers {
      evict(): void {}
    }
    const { prototype } = Handlers;
    const descriptor = Object.getOwnPropertyDescriptor(prototype, 'evict');
    const refused = (message: string): object => expect.objectContaining({ kind: 'configuration', message });
    const bare = refused(`${written} has no channel: write ${written}('order_events').`);
    expect(place(decorator, prototype, 'evict', descriptor)).toThrow(bare); // @OnPgNotify evict() {}
    expect(place(decorator, prototype, Symbol('secret'), descriptor)).toThrow(bare);
    expect(place(decorator, Handlers)).toThrow(bare); // @OnPgNotify class Handlers {}
    expect(place(decorator, () => undefined, { kind: 'method', name: 'evict' })).toThrow(bare); // a standard decorator
    expect(place(decorator)).toThrow(
      refused(
        `${written}() has no channel, or an undefined one: write ${written}('order_events'). An imported definition is undefined while two files import each other.`,
      ),
    );
    expect(place(decorator, decorator === OnPgEvent ? [['a', 'b']] : ['a', 'b'])).toThrow(
      refused(`${written}() takes one channel, not a list: write the decorator once for each of them.`),
    );
  });

  it('says so of what is injected, compiled as a standard decorator', () => {
    const context = { kind: 'field', name: 'orders$', static: false, private: false };
    const problem = (written: string) =>
      `${written} on orders$ was compiled as a standard decorator, and Nest works with the older kind: set "experimentalDecorators": true in the tsconfig.json that compiles this file (legacyDecorator for SWC).`;
    expect(place(InjectPgChannel('orders'), undefined, context)).toThrow(problem("@InjectPgChannel('orders')"));
    expect(place(InjectPgNotify(), undefined, context)).toThrow(problem('@InjectPgNotify()'));
    expect(place(InjectPgNotify('analytics'), undefined, context)).toThrow(problem("@InjectPgNotify('analytics')"));
  });
});
