import { types } from 'node:util';

/** The deepest value that is compared. A circular value is deeper. */
const MAX_DEPTH = 100;

/** A copy of an object's properties. */
class ObjectCopy {
  constructor(
    readonly keys: readonly string[],
    readonly values: readonly unknown[],
  ) {}
}

/** Stands for a value that cannot be compared. */
const UNKNOWN = Symbol('a value that cannot be compared');

type Entries = Readonly<Record<string, unknown>>;

/**
 * The structure of a value at one moment. It is a copy, because the value itself may be changed in place later, such as
 * a Map that a service keeps.
 */
export class ValueSnapshot {
  private readonly copy: unknown;

  constructor(value: unknown) {
    this.copy = attempt(() => copyOf(value, 0), UNKNOWN);
  }

  /**
   * Whether a value has the same structure. Of an instance of a class the properties are compared. Some values are
   * never equal, because they cannot be compared: functions, symbols, objects with only private state, and values that
   * are too deep.
   */
  equals(value: unknown): boolean {
    return this.copy !== UNKNOWN && attempt(() => isSame(this.copy, value), false);
  }
}

/** Reading a value may throw: it may be a Proxy, or have getters. */
function attempt<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}

/** @throws RangeError or TypeError for a value that cannot be compared. */
function copyOf(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new RangeError('It is too deep.');
  if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError('It cannot be compared.');
  if (typeof value !== 'object' || value === null) return value;
  const copy = (item: unknown): unknown => copyOf(item, depth + 1);
  if (Array.isArray(value)) return Array.from(value, copy);
  if (types.isMap(value)) return new Map([...value].map(([key, item]) => [copy(key), copy(item)]));
  if (types.isSet(value)) return new Set([...value].map(copy));
  if (types.isDate(value)) return new Date(value);
  if (ArrayBuffer.isView(value)) return Uint8Array.from(bytesOf(value));
  const keys = Object.keys(value);
  if (keys.length === 0 && !isPlain(value)) throw new TypeError('It cannot be compared.');
  return new ObjectCopy(
    keys,
    keys.map((key) => copy((value as Entries)[key])),
  );
}

function isSame(copy: unknown, value: unknown): boolean {
  if (typeof copy !== 'object' || copy === null) return Object.is(copy, value);
  if (typeof value !== 'object' || value === null) return false;
  if (copy instanceof ObjectCopy) return isSameObject(copy, value);
  if (Array.isArray(copy)) return Array.isArray(value) && areSame(copy, value);
  if (copy instanceof Map) return types.isMap(value) && areSame([...copy].flat(), [...value].flat());
  if (copy instanceof Set) return types.isSet(value) && areSame([...copy], [...value]);
  if (copy instanceof Date) return types.isDate(value) && Object.is(copy.getTime(), value.getTime());
  return ArrayBuffer.isView(value) && bytesOf(copy as Uint8Array).equals(bytesOf(value));
}

function isSameObject({ keys, values }: ObjectCopy, value: object): boolean {
  if (Array.isArray(value) || types.isMap(value) || types.isSet(value) || types.isDate(value)) return false;
  if (Object.keys(value).length !== keys.length || (keys.length === 0 && !isPlain(value))) return false;
  return keys.every((key, index) => Object.hasOwn(value, key) && isSame(values[index], (value as Entries)[key]));
}

function areSame(copies: readonly unknown[], values: readonly unknown[]): boolean {
  return copies.length === values.length && copies.every((copy, index) => isSame(copy, values[index]));
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** Works for objects of any realm: a test runner has its own Object. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
