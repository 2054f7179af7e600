import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { backend } from './backend-messages.js';
import { type FrontendMessage, FrontendParser } from './frontend-parser.js';
import { emptyResults, frameReply, type FrontendQuery, readBatch, readSimpleQuery } from './frontend-query.js';

/** Decides what is written in answer to a query; writing nothing leaves the client waiting. */
export type StubQueryHandler = (query: FrontendQuery, connection: StubConnection) => void | Promise<void>;

/** Decides what is written in answer to a client's startup; writing nothing leaves the client waiting. */
export type StubStartupHandler = (connection: StubConnection) => void | Promise<void>;

/** What a {@link StubConnection} asks its server. */
export interface StubBehaviour {
  readonly onStartup: StubStartupHandler;
  readonly onQuery: StubQueryHandler;
  /** Takes what a handler has thrown. */
  readonly onFailure: (error: unknown) => void;
}

/** The server's side of one connection to a stub server. */
export class StubConnection {
  /** Startup parameters of the client (`user`, `database`, …), once it has sent them. */
  parameters: ReadonlyMap<string, string> = new Map();
  /** Everything the client has asked so far. */
  readonly queries: FrontendQuery[] = [];
  private readonly parser = new FrontendParser();
  private readonly statements = new Map<string, string>();
  private readonly batch: FrontendMessage[] = [];

  constructor(
    readonly socket: Socket,
    /** The process id that {@link greet} announces. */
    readonly processId: number,
    private readonly behaviour: StubBehaviour,
  ) {
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.receive(chunk));
    // A client that resets the connection is what some tests want; `close` follows.
    socket.on('error', () => undefined);
  }

  /** Writes messages as one chunk: one call of `socket.write`. */
  write(...messages: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(messages));
  }

  /** Writes messages byte by byte, each in a turn of the event loop of its own; resolves when all are written. */
  async writeByteByByte(...messages: readonly Buffer[]): Promise<void> {
    for (const byte of Buffer.concat(messages)) {
      if (this.socket.destroyed) return;
      this.socket.write(Buffer.of(byte));
      await nextTurn();
    }
  }

  /** Accepts the client, as a server does that needs no password. */
  greet(): void {
    this.write(
      backend.authenticationOk(),
      backend.parameterStatus('server_version', '18.0'),
      backend.parameterStatus('server_encoding', 'UTF8'),
      backend.parameterStatus('client_encoding', 'UTF8'),
      backend.parameterStatus('standard_conforming_strings', 'on'),
      backend.parameterStatus('in_hot_standby', 'off'),
      backend.backendKeyData(this.processId, 1),
      backend.readyForQuery(),
    );
  }

  /** Answers a query with these results, in one chunk: framed as its protocol needs, `ReadyForQuery` at the end. */
  reply(query: FrontendQuery, ...results: readonly Buffer[]): void {
    this.write(...frameReply(query, results));
  }

  /** Answers a query as a server does that has no rows. */
  replyByDefault(query: FrontendQuery): void {
    this.reply(query, ...emptyResults(query.text));
  }

  private receive(chunk: Buffer): void {
    for (const message of this.parser.push(chunk)) {
      if (message.kind === 'encryption') this.socket.write('N');
      else if (message.kind === 'cancel') this.socket.end();
      else if (message.kind === 'startup') this.start(message.parameters);
      else this.take(message);
    }
  }

  private start(parameters: ReadonlyMap<string, string>): void {
    this.parameters = parameters;
    this.run(() => this.behaviour.onStartup(this));
  }

  private take(message: FrontendMessage): void {
    if (message.type === 'X') {
      this.socket.end();
    } else if (message.type === 'Q') {
      this.ask(readSimpleQuery(message));
    } else {
      this.batch.push(message);
      if (message.type === 'S') this.ask(readBatch(this.batch.splice(0), this.statements));
    }
  }

  private ask(query: FrontendQuery): void {
    this.queries.push(query);
    this.run(() => this.behaviour.onQuery(query, this));
  }

  /** Runs a handler of the test. What it throws is kept for the test, and ends the connection, so that the client does not wait. */
  private run(handler: () => void | Promise<void>): void {
    new Promise<void>((settle) => settle(handler())).catch((error: unknown) => {
      this.behaviour.onFailure(error);
      this.socket.destroy();
    });
  }
}
