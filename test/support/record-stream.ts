import type { Observable } from 'rxjs';
import { Recorder } from './recorder.js';

/** Records what a stream emits, and `completed` at its end. */
export function recordStream<T>(stream: Observable<T>): Recorder<T | 'completed'> {
  const recorder = new Recorder<T | 'completed'>();
  stream.subscribe({ next: recorder.push, complete: () => recorder.push('completed') });
  return recorder;
}
