export interface StreamEvent {
  readonly type: string;
  readonly data: unknown;
}

/** Reads server-sent events until the signal is aborted, or the server ends them. Resolves when the stream is open. */
export async function openEventStream(
  url: string,
  take: (event: StreamEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const response = await fetch(url, { signal });
  if (!response.ok || !response.body) throw new Error(`${url} answered ${response.status}.`);
  read(response.body, take).catch((error: Error) => {
    if (!signal.aborted) take({ type: 'end', data: error.message });
  });
}

async function read(body: ReadableStream<Uint8Array>, take: (event: StreamEvent) => void): Promise<void> {
  const decoder = new TextDecoder();
  let unread = '';
  for await (const chunk of body) {
    const blocks = (unread + decoder.decode(chunk, { stream: true })).split('\n\n');
    unread = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map(block.split('\n').map((line) => line.split(/: (.*)/s, 2) as [string, string]));
      const data = fields.get('data');
      if (data !== undefined) take({ type: fields.get('event') ?? 'message', data: JSON.parse(data) });
    }
  }
  take({ type: 'end', data: 'The server has ended the stream.' });
}
