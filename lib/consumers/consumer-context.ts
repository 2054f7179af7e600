import type { RegistrationContext } from '../pg-notify.registration-context.js';
import type { HandlerBlocks } from './handler-blocks.js';

/** What all consumers of one registration share. */
export interface ConsumerContext extends RegistrationContext {
  /** The handlers that are stuck. */
  readonly blocks: HandlerBlocks;
}
