import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);
const IMAGE = 'postgres:18-alpine';

/** A PostgreSQL server in a container. */
export interface ContainerServer {
  readonly url: string;
  readonly origin: string;
  stop(): Promise<void>;
}

/**
 * Tells why no container with PostgreSQL can be had; `undefined` when one can.
 *
 * Asks the container runtime whether it has the image, or else whether its registry does. Takes half a second where
 * there is no runtime, three at most where one does not answer.
 */
export async function findContainerObstacle(): Promise<string | undefined> {
  const probe = fileURLToPath(new URL('container-probe.mjs', import.meta.url));
  try {
    await execFileAsync(process.execPath, [probe, IMAGE], { timeout: 3_000, killSignal: 'SIGKILL' });
    return undefined;
  } catch (error) {
    const { killed, stdout, message } = error as Error & { killed: boolean; stdout: string };
    return killed ? 'the container runtime does not answer' : stdout || message;
  }
}

/** Starts the official image, and downloads it first where it must. The container is removed when this process is gone. */
export async function startContainer(settings: Readonly<Record<string, string>>): Promise<ContainerServer> {
  const { PostgreSqlContainer } = await import('@testcontainers/postgresql');
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const container = await new PostgreSqlContainer(IMAGE)
    .withUsername('postgres')
    .withPassword(randomBytes(12).toString('hex')) // One that stands in no other text: tests look for it in logs.
    .withDatabase('postgres')
    .withCommand(['postgres', ...flags])
    .start();
  return {
    url: container.getConnectionUri(),
    origin: `in a container of ${IMAGE}`,
    stop: async () => {
      await container.stop();
    },
  };
}
