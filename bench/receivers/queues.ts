/** Why the listeners of job queues take no part in scenarios of LISTEN. */
export const QUEUES_CANNOT = {
  'pg-boss':
    'version 10, the newest for Node 20, does not LISTEN; version 12, for Node 22, only wakes its own workers, and takes neither a channel nor a payload of others',
};
