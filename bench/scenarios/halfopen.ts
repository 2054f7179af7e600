import { FAULTS } from '../faults/faults.js';
import { PEERS } from '../faults/peers.js';
import { runTrial } from '../faults/run-trial.js';
import type { Scenario } from '../frame/scenario.js';
import { QUEUES_CANNOT } from '../receivers/queues.js';

const FAULT = FAULTS.find(({ id }) => id === 'server-side-dead')!;
/** Seconds: the heartbeat's interval and timeout, and one for the new connection. */
const TARGET = 10 + 5 + 1;

const scenario: Scenario = {
  name: 'halfopen',
  measures:
    'Time from the moment at which the server is gone, and the client does not learn of it, until notifications arrive again. Empty: not while it was watched',
  figures: {
    healed: { label: 'healed', unit: 's', better: 'less', digits: 1 },
    watched: { label: 'watched', unit: 's', better: 'less', compared: false, digits: 0 },
  },
  contestants: PEERS.map((peer) => ({
    name: peer.name,
    role: peer.name === 'nest-pg-notify' ? 'ours' : 'peer',
    measure: async () => {
      const { again, watchedFor = 0, extra } = await runTrial(peer, FAULT);
      if (extra.harnessFailed !== undefined) throw new Error(extra.harnessFailed);
      const healed = again?.afterBreak;
      return { figures: { watched: watchedFor, ...(healed !== undefined && { healed }) } };
    },
  })),
  targets: [{ contestant: 'nest-pg-notify', figure: 'healed', atMost: TARGET }],
  cannot: QUEUES_CANNOT,
  rounds: 1,
};

export default scenario;
