import { EventEmitter } from 'node:events';
import type { Readable } from 'node:stream';
import { MAX_CHANNEL_BYTES } from '../channel/channel-name.js';
import { MAX_PAYLOAD_BYTES } from '../channel/payload-codec.js';
import { ReceivedNotification } from '../channel/pg-notification.js';
import { messageOf } from '../pg-notify.errors.js';
import type { TurnBudget } from '../time/turn-budget.js';
import {
  checkedLength,
  checkMessage,
  COMMAND_COMPLETE,
  endOfText,
  NOTIFICATION,
  UnreadableMessage,
} from './message-checks.js';
import type { ClientConnection } from './pg-client.js';

/** The recipients of a server's messages. */
export interface MessageRoutes {
  /** Takes each notification, which pg's parser then does not see. It must not throw. */
  readonly onNotification: (notification: ReceivedNotification) => void;
  /** Called once for a message that cannot be read. Nothing is read after it. */
  readonly onUnreadable: (error: Error) => void;
  /** The budget that reading is counted against. */
  readonly budget?: TurnBudget | undefined;
}

/**
 * Reads a server's messages one by one. It reads notifications by itself, at less than half the cost of pg's parser and
 * event, and passes all other messages to pg's parser as a whole. Without this, that parser throws inside the socket's
 * `data` event when it cannot read a message, which would end the process; and it reads beyond the end of a message
 * whose texts are not terminated. To be called before the client connects.
 *
 * @param onForeign Called if pg's internals are not as expected. pg then reads all messages itself.
 */
export function readMessages(
  connection: Pick<ClientConnection, 'attachListeners'>,
  routes: MessageRoutes,
  onForeign: () => void,
): void {
  const attach = connection.attachListeners;
  if (typeof attach !== 'function') return onForeign();
  let isForeign = false;
  // Called for the socket, and again for the TLS socket that replaces it.
  connection.attachListeners = (stream: EventEmitter) => {
    const parser = new EventEmitter(); // pg's parser listens to this in place of the stream.
    attach.call(connection, parser);
    if (parser.listenerCount('data') === 0) {
      if (!isForeign) onForeign();
      isForeign = true;
      return attach.call(connection, stream);
    }
    stream.on('end', () => parser.emit('end'));
    readFrom(stream as Readable, (message) => parser.emit('data', message), routes);
  };
}

/** The number of bytes that are read at once after a pause. */
const MOST_AT_ONCE = 16_384;

function readFrom(
  stream: Readable,
  onMessage: (message: Buffer) => void,
  { onNotification, onUnreadable, budget }: MessageRoutes,
): void {
  const reader = new MessageReader(onMessage, onNotification);
  // A pause lasts until the next turn. Handlers run meanwhile, and the kernel buffers new data.
  let isPaused = false;
  const pause = (): void => {
    isPaused = true;
    stream.pause();
  };
  const resume = (): void => {
    isPaused = false;
    // Reads buffered data as one chunk. Otherwise each small chunk would wait for a turn or a pause.
    stream.read(Math.min(stream.readableLength, MOST_AT_ONCE));
    if (!isPaused) stream.resume();
  };
  const onData = (chunk: Buffer): void => {
    budget?.beginReading();
    try {
      reader.read(chunk);
    } catch (error) {
      stream.off('data', onData);
      onUnreadable(error instanceof UnreadableMessage ? error : new UnreadableMessage(messageOf(error)));
    }
    budget?.endReading(pause, resume, stream.isPaused() && stream.readableLength > 0);
  };
  stream.on('data', onData);
}

/** The size of a message's type and length. The length includes itself, but not the type. */
const HEADER = 5;

/** A pid, a channel and a payload, each of them as long as PostgreSQL allows, and the NULs. */
const LONGEST_NOTIFICATION = HEADER + 4 + MAX_CHANNEL_BYTES + 1 + MAX_PAYLOAD_BYTES + 1;

/** Splits the incoming bytes into messages, and passes on complete ones. */
class MessageReader {
  /** The received part of an incomplete message. */
  private parts: Buffer[] = [];
  private size = 0;
  /** The number of bytes needed before the next attempt to read a message. */
  private needed = HEADER;
  /** Holds a notification that came in several parts, while it is read. */
  private notification: Buffer | undefined;
  /** The channel of the last notification as bytes, with its NUL: most notifications repeat it. */
  private channelBytes = Buffer.of(0);
  private channel = '';
  /** Notifications that came in together share it. */
  private receivedAt: Date | undefined;

  constructor(
    private readonly onMessage: (message: Buffer) => void,
    private readonly onNotification: (notification: ReceivedNotification) => void,
  ) {}

  /** @throws What pg's parser throws; UnreadableMessage for a message that it must not get. */
  read(chunk: Buffer): void {
    this.receivedAt = undefined;
    let rest = chunk;
    // Of a chunk, only the end of a message that was cut is copied, not all that follows it.
    while (this.size > 0 && rest.length > 0) {
      const missing = this.needed - this.size;
      this.keep(rest.subarray(0, missing));
      if (this.size < this.needed) return;
      rest = rest.subarray(missing);
      const bytes = this.joined();
      this.parts = [];
      this.size = 0;
      this.readAll(bytes);
    }
    if (rest.length > 0) this.readAll(rest);
  }

  /** The kept parts in one piece. The parts of a notification are joined in memory that serves for all of them. */
  private joined(): Buffer {
    // Only a complete one is read at once. Of other messages, pg's parser may keep what it gets.
    const isNotification = this.needed > HEADER && this.parts[0]![0] === NOTIFICATION;
    if (!isNotification || this.size > LONGEST_NOTIFICATION) return Buffer.concat(this.parts, this.size);
    this.notification ??= Buffer.allocUnsafeSlow(LONGEST_NOTIFICATION);
    let size = 0;
    for (const part of this.parts) {
      this.notification.set(part, size);
      size += part.length;
    }
    return this.notification.subarray(0, size);
  }

  private keep(bytes: Buffer): void {
    this.parts.push(bytes);
    this.size += bytes.length;
  }

  private readAll(bytes: Buffer): void {
    const end = this.readFrom(bytes);
    if (end < bytes.length) this.keep(bytes.subarray(end));
  }

  /** Reads the complete messages at the front, and returns where they end. */
  private readFrom(bytes: Buffer): number {
    let at = 0;
    /** What lies between this and `at` was read and is still to be passed on. */
    let passed = 0;
    for (;;) {
      const end = this.endOfMessage(bytes, at);
      if (end !== undefined && isTerminatedCompletion(bytes, at, end)) {
        at = end;
        continue;
      }
      if (passed < at) this.onMessage(bytes.subarray(passed, at));
      if (end === undefined) return at;
      const type = bytes[at]!;
      if (type === NOTIFICATION) {
        this.onNotification(this.notificationOf(bytes, at + HEADER, end, (this.receivedAt ??= new Date())));
      } else {
        checkMessage(type, bytes, at + HEADER, end);
        // Separately, so that the parser cannot read beyond its end.
        this.onMessage(bytes.subarray(at, end));
      }
      at = end;
      passed = end;
    }
  }

  /** Undefined if a part of the message is missing. */
  private endOfMessage(bytes: Buffer, at: number): number | undefined {
    this.needed = HEADER;
    if (bytes.length - at < HEADER) return undefined;
    const end = at + 1 + checkedLength(bytes[at]!, lengthAt(bytes, at + 1));
    this.needed = end - at;
    return end > bytes.length ? undefined : end;
  }

  /** Reads a pid, a channel and a payload. This is the hot path: it makes no copy, and no call for each byte. */
  private notificationOf(bytes: Buffer, from: number, end: number, receivedAt: Date): ReceivedNotification {
    const { channelBytes } = this;
    let at = from + 4;
    let same = 0;
    while (same < channelBytes.length && channelBytes[same] === bytes[at + same]) same += 1;
    if (same === channelBytes.length) at += same;
    else at = this.readChannel(bytes, at);
    if (at >= end || bytes[end - 1] !== 0) throw new UnreadableMessage('a text has no end');
    return new ReceivedNotification(this.channel, textOf(bytes, at, end - 1), lengthAt(bytes, from) | 0, receivedAt);
  }

  /** Returns where the payload begins. */
  private readChannel(bytes: Buffer, from: number): number {
    const next = endOfText(bytes, from);
    this.channelBytes = Buffer.from(bytes.subarray(from, next));
    this.channel = bytes.toString('utf8', from, next - 1);
    return next;
  }
}

/** Like readUInt32BE(), but without its checks; `| 0` makes the number signed. */
function lengthAt(bytes: Buffer, at: number): number {
  return bytes[at]! * 0x1000000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!);
}

/**
 * Whether a message only says that a statement is complete, and its text ends within it. A statement with 1,000 LISTENs
 * has 1,000 of these as its answer. They are passed on together: one by one they take three times as long.
 */
function isTerminatedCompletion(bytes: Buffer, at: number, end: number): boolean {
  return bytes[at] === COMMAND_COMPLETE && end > at + HEADER && bytes[end - 1] === 0;
}

interface SlicingBuffer extends Buffer {
  /** Undocumented: the function that toString('utf8', …) calls, without its checks. */
  utf8Slice?: (start: number, end: number) => string;
}

function textOf(bytes: SlicingBuffer, start: number, end: number): string {
  return bytes.utf8Slice ? bytes.utf8Slice(start, end) : bytes.toString('utf8', start, end);
}
