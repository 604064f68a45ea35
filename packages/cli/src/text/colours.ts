import picocolors from 'picocolors';

/** What paints texts, or leaves them as they are. */
export type Colours = ReturnType<typeof picocolors.createColors>;

/**
 * Colours for a stream: on a terminal, or wherever FORCE_COLOR asks for them (not `0`), and never
 * when NO_COLOR is set to anything.
 *
 * @see https://no-color.org and https://force-color.org
 */
export function coloursFor(stream: { isTTY?: boolean | undefined }): Colours {
  return picocolors.createColors(wantsColours(stream, process.env));
}

/** Whether a stream gets colours. */
export function wantsColours(
  stream: { isTTY?: boolean | undefined },
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined && forced !== '') return forced !== '0' && forced !== 'false';
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}
