import { Injectable } from '@nestjs/common';

/** Stands for work that takes time and may fail. */
@Injectable()
export class Labels {
  readonly printed: number[] = [];

  async print(orderId: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.printed.push(orderId);
  }
}
