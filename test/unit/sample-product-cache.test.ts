import { describe, expect, it } from '@jest/globals';
import { createCache } from 'cache-manager';
import type { Database } from '../../sample-app/database/database.js';
import { ProductCache } from '../../sample-app/products/product-cache.js';
import type { Product } from '../../sample-app/products/product.js';
import { deferred } from '../support/deferred.js';
import type { Deferred } from '../support/deferred.js';
import { eventually } from '../support/recorder.js';

describe('the product cache of the sample app', () => {
  it('does not keep what it has read before a change and received after it', async () => {
    const answers: Deferred<Product[]>[] = [];
    const query = (): Promise<Product[]> => {
      const answer = deferred<Product[]>();
      answers.push(answer);
      return answer.promise;
    };
    const cache = new ProductCache(createCache(), { query } as unknown as Database);
    const [old, current] = [1, 2].map((price) => [{ id: 7, name: 'Cup', price }]) as [Product[], Product[]];
    const asked = (count: number): Promise<number> =>
      eventually(
        () => answers.length,
        (length) => length === count,
      );

    const first = cache.all();
    await asked(1);
    await cache.evict({ keys: [7] });
    answers[0]!.resolve(old);
    expect(await first).toEqual(old);

    const second = cache.all();
    await asked(2);
    answers[1]!.resolve(current);
    expect(await second).toEqual(current);
    expect(await cache.all()).toEqual(current); // From the cache: nobody has answered a third query.
    expect(answers).toHaveLength(2);
  });

  it('does not keep what a change overtakes while it is stored', async () => {
    const price = (value: number): Product[] => [{ id: 7, name: 'Cup', price: value }];
    let current = price(1);
    const stores = createCache();
    const [isStoring, mayStore] = [deferred(), deferred()];
    const slow = Object.assign(Object.create(stores) as typeof stores, {
      set: async (key: string, products: Product[]) => {
        isStoring.resolve();
        await mayStore.promise;
        return stores.set(key, products);
      },
    });
    const cache = new ProductCache(slow, { query: () => Promise.resolve(current) } as unknown as Database);

    const first = cache.all();
    await isStoring.promise;
    current = price(2);
    await cache.evict({ keys: [7] });
    mayStore.resolve();
    await first;
    expect(await cache.all()).toEqual(price(2));
  });
});
