import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { platform } from 'node:os';
import { describe, expect, it } from '@jest/globals';
import { processorTimeOf } from './processor-time.js';

const describeOnLinux = platform() === 'linux' ? describe : describe.skip;

describeOnLinux('processorTimeOf, on Linux', () => {
  it('counts the time of a child that runs, and keeps it when the child has ended', async () => {
    const before = processorTimeOf(process.pid)!;
    const script = 'const end = Date.now() + 200; while (Date.now() < end); console.log(1); setInterval(() => {}, 1e3)';
    const child = spawn(process.execPath, ['-e', script]);
    await once(child.stdout, 'data');
    const during = processorTimeOf(process.pid)!;
    const exited = once(child, 'exit');
    child.kill();
    await exited;
    expect(during - before).toBeGreaterThan(20);
    expect(processorTimeOf(process.pid)!).toBeGreaterThanOrEqual(during);
  });
});

describe('processorTimeOf', () => {
  it('knows nothing of a process that does not exist', () => {
    expect(processorTimeOf(undefined)).toBeUndefined();
    expect(processorTimeOf(2 ** 30)).toBeUndefined();
  });
});
