import { definePgChannel } from 'nest-pg-notify';

export const JobQueue = definePgChannel('job_queue', { fold: true });
