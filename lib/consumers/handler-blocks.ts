import { Subject } from 'rxjs';
import type { Observable } from 'rxjs';
import type { PgHandlerBlock } from '../listener/pg-notify-status.js';

/** The handlers of one registration that stand still. */
export class HandlerBlocks {
  private readonly blocks = new Set<PgHandlerBlock>();
  private readonly changed = new Subject<void>();

  /** Those that there are now, oldest first. */
  get all(): readonly PgHandlerBlock[] {
    return [...this.blocks];
  }

  /** Emits when one is added or is over. */
  get changes(): Observable<void> {
    return this.changed;
  }

  /** Returns the function that says that it is over. */
  add(block: PgHandlerBlock): () => void {
    this.blocks.add(block);
    this.changed.next();
    return () => {
      if (this.blocks.delete(block)) this.changed.next();
    };
  }
}
