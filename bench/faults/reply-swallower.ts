/** Takes the reply to a statement out of what a PostgreSQL server sends: all messages up to the next ReadyForQuery. */
export class ReplySwallower {
  private expecting = false;
  private pending = Buffer.alloc(0);

  expectReply(): void {
    this.expecting = true;
  }

  /** What the client may see. The session is idle when a reply is expected, so a chunk begins with a message. */
  filter(chunk: Buffer): Buffer {
    if (!this.expecting) return chunk;
    this.pending = Buffer.concat([this.pending, chunk]);
    while (this.expecting && this.pending.length >= 5) {
      const length = 1 + this.pending.readInt32BE(1);
      if (this.pending.length < length) break;
      if (this.pending.toString('latin1', 0, 1) === 'Z') this.expecting = false;
      this.pending = this.pending.subarray(length);
    }
    if (this.expecting) return Buffer.alloc(0);
    const rest = this.pending;
    this.pending = Buffer.alloc(0);
    return rest;
  }
}
