/**
 * The server's acknowledgement of a LISTEN: its channels are covered from then on. Each acknowledgement is one object,
 * which is passed on beside the gap that announces it. So a consumer knows whether it has seen it already, even if two
 * have the same time.
 */
export class Acknowledgement {
  constructor(readonly at: Date = new Date()) {}
}
