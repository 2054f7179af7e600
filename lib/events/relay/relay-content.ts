import { Buffer } from 'node:buffer';
import { types } from 'node:util';
import { shown } from '../../option-checks.js';

/** The bytes of a `Buffer`, a typed array or an `ArrayBuffer`; undefined for anything else. */
export function bytesOf(value: unknown): Buffer | undefined {
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return types.isAnyArrayBuffer(value) ? Buffer.from(value) : undefined;
}

/** @throws TypeError for bytes: JSON makes a list of numbers of a `Buffer`, and an empty object of an `ArrayBuffer` */
export function refuseBytes(value: unknown): void {
  if (!bytesOf(value)) return;
  throw new TypeError("the message is JSON, which has no bytes. Make a text of them, such as toString('base64')");
}

/** @throws TypeError for bytes, and for what JSON leaves out */
export function jsonOf(value: unknown): string {
  refuseBytes(value);
  const json = JSON.stringify(value) as string | undefined;
  if (json === undefined) throw new TypeError(`there is no JSON of ${shown(value)}`);
  return json;
}
