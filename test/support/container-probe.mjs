/**
 * `node container-probe.mjs <image>` tells whether a container of that image can be had: it exits with 0 when the
 * container runtime has the image or finds it in its registry, else with 1, and says why.
 *
 * A process of its own, because a runtime that hangs would keep the process that asked it alive for as long.
 */
import { getContainerRuntimeClient, ImageName } from 'testcontainers';

const name = process.argv[2] ?? '';
try {
  const runtime = await getContainerRuntimeClient();
  const image = runtime.container.dockerode.getImage(ImageName.fromString(name).string);
  const known = await image.inspect().catch(() => undefined);
  if (known === undefined) await findInRegistry(image);
} catch (error) {
  process.stdout.write(error.message);
  process.exitCode = 1;
}

async function findInRegistry(image) {
  try {
    await image.distribution();
  } catch (error) {
    throw new Error(`no image ${name} here, and none to be had from its registry`, { cause: error });
  }
}
