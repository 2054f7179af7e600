import { PgNotifyError } from '../pg-notify.errors.js';
import { refuseStandardDecorator } from '../standard-decorator.js';

/** A method that a decorator may decorate. */
export interface DecoratedMethod {
  readonly prototype: object;
  readonly name: string;
  /** The method as the decorator found it. A decorator above may replace it. */
  readonly method: object;
}

/**
 * Finds the decorated method.
 *
 * @param written The decorator as it is written, for messages.
 * @param place The arguments of the decorator.
 * @throws PgNotifyError of kind `configuration` for a place where no handler would ever be called.
 */
export function decoratedMethod(
  written: string,
  place: readonly [target: unknown, name?: unknown, descriptor?: unknown],
): DecoratedMethod {
  const [target, name, descriptor] = place;
  refuseStandardDecorator(written, name);
  const refuse = (problem: string): never => {
    throw new PgNotifyError('configuration', `${written} stands on ${problem}`);
  };
  const isStatic = typeof target === 'function';
  const label = String(name);
  if (name === undefined) {
    return refuse(`the class ${isStatic ? target.name : ''}: move it to the method that handles.`);
  }
  if (typeof descriptor === 'number') return refuse(`a parameter of ${label}: move it to the method.`);
  if (typeof name === 'symbol') {
    return refuse(`${label}, and Nest finds methods by their names: give it one, such as evict() { … }.`);
  }
  const owner = isStatic ? target.name : (target as object).constructor.name;
  if (isStatic) {
    return refuse(
      `${label}, which is static in ${owner}: only instances that Nest makes have handlers. Remove "static".`,
    );
  }
  const { value, ...accessors } = (descriptor ?? {}) as PropertyDescriptor;
  if (accessors.get !== undefined || accessors.set !== undefined) {
    return refuse(`${label}, which is an accessor of ${owner}: write it as a method, ${label}() { … }.`);
  }
  if (typeof value !== 'function') {
    return refuse(
      `${label}, which is a property of ${owner}: write it as a method, ${label}() { … }, not as a property that holds a function.`,
    );
  }
  return { prototype: target as object, name: label, method: value as object };
}
