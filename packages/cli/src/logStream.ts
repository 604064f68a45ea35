import { destination } from 'pino';

/** What waits in memory at most for room on the disk, bytes; lines beyond it are lost. */
const MAX_WAITING_BYTES = 2 ** 20;

type LogStream = ReturnType<typeof destination>;

/**
 * Where a log goes. Lines that can not be written, because the disk is full, wait for the next line that can; they never
 * end the process, as pino has it.
 *
 * @param to - A file descriptor, or the path of a file that is appended to, readable for its owner alone.
 * @throws Error when the file can not be opened.
 */
export function openLogStream(to: number | string): LogStream {
  const stream = destination({
    dest: to,
    append: true,
    sync: true,
    mode: 0o600,
    maxLength: MAX_WAITING_BYTES,
  });
  stream.on('error', () => {});
  return stream;
}
