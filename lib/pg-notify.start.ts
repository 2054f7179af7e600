import { Inject, Injectable } from '@nestjs/common';
import { isPgNotifyError } from './pg-notify.errors.js';
import type { PgNotifyLogger } from './pg-notify.logger.js';
import { PgNotifyRegistrations } from './pg-notify.registrations.js';
import { PG_NOTIFY_LOGGER, PG_NOTIFY_TRANSPORT } from './pg-notify.tokens.js';
import type { PgNotifyTransport } from './transport/pg-notify-transport.js';

/** The start of a registration, as a part of the application's. */
@Injectable()
export class PgNotifyStart {
  private signal: string | undefined;

  constructor(
    @Inject(PG_NOTIFY_TRANSPORT) private readonly transport: PgNotifyTransport,
    @Inject(PgNotifyRegistrations) private readonly registrations: PgNotifyRegistrations,
    @Inject(PG_NOTIFY_LOGGER) private readonly logger: PgNotifyLogger,
  ) {}

  /** Waits until the registration listens, by the startup policy. */
  listen(): Promise<void> {
    return this.attempt(() => this.transport.listener.start());
  }

  /**
   * Does a part of the start. What rejects it ends the application's start: nothing is left open then. When a signal
   * ends the application meanwhile it never settles: the shutdown ends the process, and a rejection would do so before
   * it is over, with a stack that says no more than that.
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

  /** The application is shut down by a signal, which ends the process when all is closed. */
  endsBy(signal: string): void {
    this.signal = signal;
  }
}
