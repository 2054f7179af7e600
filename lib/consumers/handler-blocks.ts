import { Subject } from 'rxjs';
import type { Observable } from 'rxjs';
import type { PgHandlerBlock } from '../listener/pg-notify-status.js';

/** The stuck handlers of one registration. */
export class HandlerBlocks {
  private readonly blocks = new Set<PgHandlerBlock>();
  private readonly changed = new Subject<void>();

  /** The current blocks, oldest first. */
  get all(): readonly PgHandlerBlock[] {
    return [...this.blocks];
  }

  /** Emits when a block begins or ends. */
  get changes(): Observable<void> {
    return this.changed;
  }

  /** Returns a function that ends the block. */
  add(block: PgHandlerBlock): () => void {
    this.blocks.add(block);
    this.changed.next();
    return () => {
      if (this.blocks.delete(block)) this.changed.next();
    };
  }
}
