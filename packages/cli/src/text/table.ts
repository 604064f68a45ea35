/** Spaces between two columns, as kubectl prints them. */
const GAP = '   ';

/**
 * Lays rows out in columns as kubectl does: upper-case header, three spaces between columns, no
 * lines, nothing behind the last column.
 *
 * @param header - Column names; an empty list prints no header.
 * @param rows - Cells; an empty cell is shown as `<none>` only if the caller says so.
 * @param widths - Least width of each column; used to keep rows of a watch aligned. Changed in
 *   place to the widths that were used.
 */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  widths: number[] = [],
): string[] {
  const all = header.length === 0 ? rows : [header.map((name) => name.toUpperCase()), ...rows];
  for (const row of all) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, displayWidth(cell));
    });
  }
  return all.map((row) =>
    row
      .map((cell, column) => {
        const isLast = column === row.length - 1;
        return isLast ? cell : cell + ' '.repeat((widths[column] ?? 0) - displayWidth(cell));
      })
      .join(GAP)
      .trimEnd(),
  );
}

// oxlint-disable-next-line no-control-regex -- colour codes begin with the escape character
const COLOUR_CODE = /\u001b\[[0-9;]*m/g;

/** Columns that a text takes on a terminal; colour codes take none. */
export function displayWidth(text: string): number {
  return text.replace(COLOUR_CODE, '').length;
}

/** Cuts a text to so many columns; colours that it began are ended. */
export function truncate(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  let left = Math.max(0, columns);
  let cut = '';
  let hasColours = false;
  for (const [part] of text.matchAll(PART)) {
    if (part.startsWith(ESCAPE)) {
      cut += part;
      hasColours = true;
    } else if (left > 0) {
      cut += part;
      left -= 1;
    }
  }
  return hasColours ? `${cut}${ESCAPE}[0m` : cut;
}

const ESCAPE = '\u001b';
// oxlint-disable-next-line no-control-regex -- colour codes begin with the escape character
const PART = /\u001b\[[0-9;]*m|./gsu;
