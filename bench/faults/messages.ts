import type { HandlerName, SignalKind } from './adapters/adapter.js';

/** What the harness tells the process of a peer. */
export type Command =
  | {
      readonly do: 'start';
      readonly url: string;
      readonly channel: string;
      readonly others: number;
      readonly throughPooler: boolean;
    }
  | { readonly do: 'stop' };

/** What the process of a peer reports. */
export type Report =
  | { readonly is: 'running' }
  | { readonly is: 'started' }
  | { readonly is: 'refused'; readonly text: string }
  | { readonly is: 'notification'; readonly handler: HandlerName; readonly payload: unknown }
  | { readonly is: 'signal'; readonly kind: SignalKind; readonly text: string }
  | { readonly is: 'fatal'; readonly origin: string; readonly text: string }
  | { readonly is: 'stopped'; readonly failure?: string };
