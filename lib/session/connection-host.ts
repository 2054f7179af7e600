import { isIPv6 } from 'node:net';

export const SEVERAL_HOSTS =
  'names several hosts, and pg connects to one. Give a function that returns the settings of the primary: docs/connecting.md has one';

/**
 * Returns the problem with the name of a host; undefined for a name, an address or the folder of a Unix socket. It does
 * not quote the host, because a URL in its place contains a password. The host is part of every message about the
 * connection.
 */
export function problemOfHost(host: string): string | undefined {
  if (host.includes('://')) return 'is a URL. Give it as connectionString';
  if (host.startsWith('/') || isIPv6(host.replace(/%.*/, ''))) return undefined;
  if (host.includes('@')) return 'holds an @. Give user and password as settings of their own';
  if (host.includes(',')) return SEVERAL_HOSTS;
  if (/^\[.*\]$/.test(host)) return 'is an address in brackets. Leave the brackets out';
  if (/[\s=/?#]/.test(host)) return 'is not the name of a host';
  return host.includes(':') ? 'holds a colon. Give the port as a setting of its own' : undefined;
}

/** Whether it is a TCP port, as a number or a text. */
export function isPort(value: unknown): boolean {
  const port = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  return Number.isInteger(port) && (port as number) >= 1 && (port as number) <= 65_535;
}
