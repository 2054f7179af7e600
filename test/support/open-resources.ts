import { eventually } from './recorder.js';

/** The sockets and timers that keep this process alive. */
function openResources(): string[] {
  return process.getActiveResourcesInfo().filter((resource) => /^TCP|^TLS|Timeout|GETADDRINFO/.test(resource));
}

/** Runs what opens and closes an application, and asserts that it leaves nothing open. */
export async function leavingNothingOpen(work: () => Promise<void>): Promise<void> {
  const before = openResources().length;
  await work();
  await eventually(openResources, (resources) => resources.length <= before);
}
