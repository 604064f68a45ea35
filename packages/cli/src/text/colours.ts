import picocolors from 'picocolors';

type Colours = ReturnType<typeof picocolors.createColors>;

/**
 * Colours for a stream: only on a terminal, and never when NO_COLOR is set to anything.
 *
 * @see https://no-color.org
 */
export function coloursFor(stream: { isTTY?: boolean | undefined }): Colours {
  const wanted = stream.isTTY === true && (process.env['NO_COLOR'] ?? '') === '';
  return picocolors.createColors(wanted);
}
