import { definePgChannel } from 'nest-pg-notify';

/** Says that there is something to do, and nothing else: of several wake-ups that wait to be sent, one is enough. */
export const JobQueue = definePgChannel('job_queue', { fold: true });
