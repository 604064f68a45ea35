/** Version of the key layout. Another one in Redis is refused. */
export const LAYOUT_VERSION = 3;

/** The oldest layout that `drover migrate` knows a way from; before it there was no release. */
export const OLDEST_LAYOUT = 2;

/** What the field `layoutVersion` of an installation says. */
export interface LayoutState {
  /** Layout of the keys; while they are migrated that from which. */
  readonly version: number;
  /** Layout that a migration leads to which was begun and has not ended; null = there is none. */
  readonly migratingTo: number | null;
}

/** Reads the field: `3`, or `2>3` during a migration, which no version takes for its own. Null: neither. */
export function parseLayout(text: string): LayoutState | null {
  const [, version, to] = /^(\d+)(?:>(\d+))?$/.exec(text) ?? [];
  if (version === undefined) return null;
  return { version: Number(version), migratingTo: to === undefined ? null : Number(to) };
}

/** Writes the field. */
export function formatLayout({ version, migratingTo }: LayoutState): string {
  return migratingTo === null ? String(version) : `${version}>${migratingTo}`;
}

/** Why keys can not be used as they are. */
export interface LayoutRefusal {
  /** What is the matter. */
  readonly message: string;
  /** What to do. */
  readonly advice: string;
}

/**
 * Why this version of Drover can not use the keys; null when it can.
 *
 * @param text - The field `layoutVersion`.
 */
export function layoutRefusal(text: string, prefix: string): LayoutRefusal | null {
  const keys = `the keys under prefix ${prefix} have layout version`;
  const ours = `this Drover has ${LAYOUT_VERSION}`;
  const state = parseLayout(text);
  if (state === null) {
    return {
      message: `${keys} ${JSON.stringify(text)}, which is no version; ${ours}`,
      advice: 'use the version of Drover that wrote them, or another prefix',
    };
  }
  const { version, migratingTo } = state;
  if (migratingTo !== null && migratingTo <= LAYOUT_VERSION) {
    return {
      message: `${keys} ${version}, and their migration to ${migratingTo} was begun and has not ended`,
      advice:
        'let it end; when nobody is at it any more, run `drover migrate`, which goes on with it',
    };
  }
  if (version === LAYOUT_VERSION && migratingTo === null) return null;
  if (version < OLDEST_LAYOUT) {
    return {
      message: `${keys} ${version}, ${ours} and knows no way from there`,
      advice: 'let the Jobs end with the version that wrote them, or use another prefix',
    };
  }
  if (version < LAYOUT_VERSION) {
    return {
      message: `${keys} ${version}, ${ours}: an older version wrote them`,
      advice:
        'stop its controllers, workers and servers and the programs that use it, run `drover migrate` of this version, then start those of this one; or go on with the older version',
    };
  }
  return {
    message: `${keys} ${migratingTo ?? version}, ${ours}: a newer version wrote them`,
    advice:
      'use that version here too; the only way back is a backup from before it, with the version of that time',
  };
}
