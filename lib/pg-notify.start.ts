import { Inject, Injectable } from '@nestjs/common';
import { isPgNotifyError } from './pg-notify.errors.js';
import type { PgNotifyLogger } from './pg-notify.logger.js';
import { PgNotifyRegistrations } from './pg-notify.registrations.js';
import { PG_NOTIFY_LOGGER, PG_NOTIFY_TRANSPORT } from './pg-notify.tokens.js';
import type { PgNotifyTransport } from './transport/pg-notify-transport.js';

/** The start of a registration, during that of the application. */
@Injectable()
export class PgNotifyStart {
  private signal: string | undefined;

  constructor(
    @Inject(PG_NOTIFY_TRANSPORT) private readonly transport: PgNotifyTransport,
    @Inject(PgNotifyRegistrations) private readonly registrations: PgNotifyRegistrations,
    @Inject(PG_NOTIFY_LOGGER) private readonly logger: PgNotifyLogger,
  ) {}

  /** Waits until the registration listens, according to the startup policy. */
  listen(): Promise<void> {
    return this.attempt(() => this.transport.listener.start());
  }

  /**
   * Runs a part of the start. A rejection ends the application's start, and leaves nothing open. If a signal ends the
   * application meanwhile, this never settles: the shutdown ends the process, and a rejection would end it before the
   * shutdown is complete, with a useless stack.
   */
  async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.signal === undefined || !isPgNotifyError(error) || error.kind !== 'closed') {
        await this.registrations.stopAll();
        throw error;
      }
      this.logger.warn(`Stopped by ${this.signal} during the start. ${error.message}`);
      await new Promise(() => undefined);
    }
  }

  /** A signal shuts down the application, and ends the process when everything is closed. */
  endsBy(signal: string): void {
    this.signal = signal;
  }
}
