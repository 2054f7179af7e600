/**
 * The server has acknowledged that it listens: from then on the channels of that LISTEN are covered. Each acknowledgement
 * is one object. It is handed on beside the gap that announces it, so a consumer knows which of them it has seen already;
 * two of the same millisecond are still two.
 */
export class Acknowledgement {
  constructor(readonly at: Date = new Date()) {}
}
