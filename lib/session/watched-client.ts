import type { Duplex } from 'node:stream';
import type { Client, QueryConfig, QueryResult } from 'pg';
import { PgNotifyError } from '../pg-notify.errors.js';
import { withDeadline } from '../time/deadline.js';
import { Moment } from '../time/moment.js';
import { watchAnswer } from '../time/silence.js';
import { connectionFailure, endpointOf, isRefusal, unanswered } from './connection-failure.js';
import { connectionOf } from './pg-client.js';
import type { ClientConnection } from './pg-client.js';
import type { PoolLoan } from './pool-loan.js';

/** How a statement's answer is waited for. */
export interface AnswerLimits {
  /** The client is given up after this time of silence before the answer, in milliseconds. */
  readonly timeout: number;
  /** The client is given up if the answer takes longer, even if other messages are received; milliseconds. */
  readonly limit?: number;
  /** Called with the server's answer, before any later message is read. It must not throw. */
  readonly onReply?: () => void;
}

/** How long the server may take to answer a goodbye before the socket is destroyed, in milliseconds. */
const GOODBYE_TIMEOUT = 1_000;

/**
 * A client of `pg`, ours or borrowed from a pool, whose loss is noticed: by its events, by an answer that does not come,
 * or because we close it. The first reason is the one that everybody gets.
 */
export class WatchedClient {
  /** Resolves once, with the reason, when the client is gone: lost, given up or closed. Never rejects. */
  readonly lost: Promise<PgNotifyError>;
  /** `host:port` of the server. */
  readonly endpoint: string;
  private loss: PgNotifyError | undefined;
  private settleLost: (reason: PgNotifyError) => void = () => undefined;
  private heard = new Moment();
  private isAsking = false;
  private wasAsking = false;
  private readonly onError = (error: Error): void => this.destroy(error);
  private readonly onEnd = (): void => {
    this.destroy(new Error('the connection was closed'));
    // Not earlier: until now the client may emit errors, and an unheard one would end the process.
    this.loan?.giveBack(this.loss);
  };
  private readonly onData = (): void => void (this.heard = new Moment());

  /** @param answerLimit How long an answer may take, where a statement does not say so; in milliseconds. */
  constructor(
    private readonly client: Client,
    private readonly answerLimit: number,
    readonly loan?: PoolLoan,
  ) {
    this.endpoint = endpointOf(client);
    this.lost = new Promise((resolve) => (this.settleLost = resolve));
    // One loss emits `error` up to twice and then `end`; without a listener the second would end the process.
    client.on('error', this.onError);
    client.on('end', this.onEnd);
    if (loan) this.watchSocket();
  }

  async connect(): Promise<void> {
    await this.client.connect();
    this.watchSocket();
  }

  get connection(): ClientConnection {
    return connectionOf(this.client);
  }

  /** The backend's pid as announced at connect. A pooler announces a pid of its own. */
  get processId(): number | undefined {
    return (this.client as unknown as { processID: number | null }).processID ?? undefined;
  }

  get isLost(): boolean {
    return this.loss !== undefined;
  }

  /** Whether a statement was on its way when the client was lost. */
  get wasLostAsking(): boolean {
    return this.wasAsking;
  }

  get isEncrypted(): boolean {
    return 'encrypted' in this.socket;
  }

  /** When the server's last bytes came in. */
  get lastHeard(): Moment {
    return this.heard;
  }

  /** Runs a statement. Rejects with the error of `pg`, or with the loss of the client. */
  async ask(
    statement: QueryConfig,
    { timeout, limit = this.answerLimit, onReply }: AnswerLimits,
  ): Promise<QueryResult | readonly QueryResult[]> {
    this.throwIfLost();
    this.isAsking = true;
    const reply = new Promise<QueryResult | readonly QueryResult[]>((resolve, reject) => {
      this.client.query(statement, (error: Error | null, result: QueryResult | QueryResult[]) => {
        if (error) return reject(error);
        if (!this.loss) onReply?.();
        resolve(result);
      });
    });
    const endWatch = watchAnswer({
      timeout,
      limit,
      lastHeard: () => this.heard.time,
      onMissing: (why) => this.destroy(unanswered(this.endpoint, why, why === 'silence' ? timeout : limit)),
    });
    try {
      return await reply;
    } catch (error) {
      // pg only reports that the connection ended. We know the reason.
      this.throwIfLost();
      const failure = connectionFailure(error, this.endpoint);
      if (isRefusal(failure)) throw error;
      this.destroy(failure);
      throw failure;
    } finally {
      this.isAsking = false;
      endWatch();
    }
  }

  /**
   * Ends the connection politely, and destroys the socket if that takes too long; or returns the client to its pool.
   * Never rejects.
   */
  async close(): Promise<void> {
    if (this.loss) return;
    const closed = new PgNotifyError('closed', `${this.endpoint}: the connection was closed by this application.`);
    if (this.loan) {
      // A client with a statement on its way is unusable for others.
      if (this.isAsking) this.destroy(closed);
      else this.giveBack(closed, this.loan);
      return;
    }
    this.lose(closed);
    const goodbye = new Promise<void>((resolve) => this.client.end(() => resolve()));
    const expired = (): Error => new Error('no goodbye');
    await withDeadline(goodbye, { timeout: GOODBYE_TIMEOUT, expired }).catch(() => undefined);
    this.socket.destroy();
  }

  /** Gives up the client at once. */
  destroy(reason: unknown): void {
    this.lose(connectionFailure(reason, this.endpoint));
    this.socket.destroy();
  }

  private giveBack(reason: PgNotifyError, loan: PoolLoan): void {
    this.lose(reason);
    this.socket.off('data', this.onData);
    this.client.off('end', this.onEnd);
    loan.giveBack();
    this.client.off('error', this.onError);
  }

  private throwIfLost(): void {
    if (this.loss) throw this.loss;
  }

  private lose(reason: PgNotifyError): void {
    if (!this.loss) this.wasAsking = this.isAsking;
    this.loss ??= reason;
    this.settleLost(this.loss);
  }

  private watchSocket(): void {
    this.socket.on('data', this.onData);
  }

  /** TLS replaces the socket of the connection with its own. */
  private get socket(): Duplex {
    return this.connection.stream;
  }
}
