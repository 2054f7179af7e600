const SSL_REQUEST = 80_877_103;
const GSS_ENCRYPTION_REQUEST = 80_877_104;
const CANCEL_REQUEST = 80_877_102;

/** What a client sends before it may ask anything: a request for encryption, one to cancel, or its startup parameters. */
export type FrontendGreeting =
  | { readonly kind: 'encryption' }
  | { readonly kind: 'cancel'; readonly processId: number; readonly secret: number }
  | { readonly kind: 'startup'; readonly parameters: ReadonlyMap<string, string> };

/** A message of the client, by its type byte (`Q`, `P`, `B`, …). */
export interface FrontendMessage {
  readonly kind: 'message';
  readonly type: string;
  readonly body: Buffer;
}

/** Cuts what a client sends into messages, however the bytes arrive. */
export class FrontendParser {
  private pending = Buffer.alloc(0);
  private started = false;

  /** Takes bytes and yields the messages that they complete. */
  *push(chunk: Buffer): Generator<FrontendGreeting | FrontendMessage> {
    this.pending = Buffer.concat([this.pending, chunk]);
    for (;;) {
      const typeLength = this.started ? 1 : 0;
      if (this.pending.length < typeLength + 4) return;
      const end = typeLength + this.pending.readInt32BE(typeLength);
      if (this.pending.length < end) return;
      const type = this.pending.toString('latin1', 0, typeLength);
      const body = this.pending.subarray(typeLength + 4, end);
      this.pending = this.pending.subarray(end);
      yield this.started ? { kind: 'message', type, body } : this.greet(body);
    }
  }

  private greet(body: Buffer): FrontendGreeting {
    const code = body.readInt32BE(0);
    if (code === SSL_REQUEST || code === GSS_ENCRYPTION_REQUEST) return { kind: 'encryption' };
    if (code === CANCEL_REQUEST) return { kind: 'cancel', processId: body.readInt32BE(4), secret: body.readInt32BE(8) };
    this.started = true;
    const words = body.toString('utf8', 4).split('\0');
    const parameters = new Map<string, string>();
    for (let i = 0; i + 1 < words.length && words[i] !== ''; i += 2) parameters.set(words[i]!, words[i + 1]!);
    return { kind: 'startup', parameters };
  }
}
