import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { Terminal } from '../../lib/cli/terminal.js';
import { printable } from '../../lib/printable.js';

const ESCAPE = '\u001b';

/** An output that can show colours as far as it is asked, and what was written to it. */
function output(hasColors?: boolean): PassThrough & { hasColors?: () => boolean } {
  const stream = new PassThrough({ encoding: 'utf8' });
  return hasColors === undefined ? stream : Object.assign(stream, { hasColors: () => hasColors });
}

describe('a terminal', () => {
  it.each([
    ['a terminal', true, {}, true],
    ['a terminal without colours', false, {}, false],
    ['a pipe', undefined, {}, false],
    ['a terminal with NO_COLOR', true, { NO_COLOR: '1' }, false],
    ['a terminal with an empty NO_COLOR', true, { NO_COLOR: '' }, true],
    ['a pipe with FORCE_COLOR', undefined, { FORCE_COLOR: '1' }, true],
    ['a terminal with FORCE_COLOR=0', true, { FORCE_COLOR: '0' }, false],
    ['a pipe with both', undefined, { FORCE_COLOR: '1', NO_COLOR: '1' }, true],
  ])('has colours as people expect it: %s', (_what, hasColors, env, expected) => {
    const [stdout, stderr] = [output(hasColors), output()];
    new Terminal(stdout, stderr, env).line([['red', 'problem'], ' found']);
    expect(stdout.read()).toBe(expected ? `${ESCAPE}[31mproblem${ESCAPE}[39m found\n` : 'problem found\n');
  });

  it('shows what would move the cursor, break the line or turn the text around', () => {
    expect(printable('a\u0000\u0007\b\u001b[2J\u009b\r\n\t\u007f\u2028\u202e\u2066 é 猫 👍')).toBe(
      String.raw`a\x00\x07\x08\e[2J\x9b\r\n\t\x7f\u2028\u202e\u2066 é 猫 👍`,
    );
  });

  // Bidi_Control and the line ends: https://www.unicode.org/Public/UCD/latest/ucd/PropList.txt
  it.each('061c 200e 200f 2028 2029 202a 202b 202c 202d 202e 2066 2067 2068 2069'.split(' '))(
    'shows U+%s, which nobody would see, in text and in JSON',
    (code) => {
      const [escape, character] = [`\\u${code}`, String.fromCharCode(parseInt(code, 16))];
      expect(printable(`a${character}b`)).toBe(`a${escape}b`);
      const stdout = output();
      new Terminal(stdout, output(), {}).json(character);
      expect(stdout.read()).toBe(`"${escape}"\n`);
    },
  );

  it('writes JSON that holds the very text, and no control character', () => {
    const [stdout, value] = [output(), { payload: 'a\u001b\u009b\u202e\n' }];
    new Terminal(stdout, output(), {}).json(value);
    const written = String(stdout.read());
    expect(written).toBe(String.raw`{"payload":"a\u001b\u009b\u202e\n"}` + '\n');
    expect(JSON.parse(written)).toEqual(value);
  });

  it('waits until all was taken that was written', async () => {
    const stdout = new PassThrough({ highWaterMark: 1 });
    const terminal = new Terminal(stdout, output(), {});
    let isTaken = false;
    terminal.text('much');
    const flushed = terminal.flush().then(() => expect(isTaken).toBe(true));
    isTaken = true;
    stdout.resume();
    await flushed;
  });

  it.each(['EPIPE', 'EOF', 'ECONNRESET'])('is content when its reader has gone (%s)', async (code) => {
    const stdout = output();
    const terminal = new Terminal(stdout, output(), {});
    stdout.emit('error', Object.assign(new Error(`write ${code}`), { code }));
    await terminal.flush();
    expect(terminal.gone.aborted).toBe(true);
  });

  it('reports what it could not write, and writes nothing more', async () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    const stdout = new Writable({ write: (_chunk, _encoding, done) => done(full) });
    const terminal = new Terminal(stdout, output(), {});
    terminal.text('SQL');
    await expect(terminal.flush()).rejects.toThrow(
      'Standard output cannot be written, and lacks what was printed last: ENOSPC: no space left on device, write.',
    );
    expect(terminal.gone.aborted).toBe(true);
  });

  it('writes nothing more to a reader that has gone, and says so', () => {
    const stdout = output();
    const terminal = new Terminal(stdout, output(), {});
    stdout.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    expect(terminal.gone.aborted).toBe(true);
    terminal.line(['to nobody']);
    terminal.text('to nobody');
    expect(stdout.read()).toBeNull();
  });
});
