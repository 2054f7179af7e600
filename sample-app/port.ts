/** The port to serve, from the text of an environment variable; 3000 when that is not set. */
export function readPort(text: string | undefined): number {
  if (!text) return 3000;
  const port = Number(text);
  // Node would take another text for the name of a Unix socket.
  if (!/^\d+$/.test(text) || port > 65_535) throw new Error(`PORT is "${text}"; it takes a number from 0 to 65535.`);
  return port;
}
