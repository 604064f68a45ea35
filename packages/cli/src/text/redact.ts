/** Cuts passwords out of the addresses of Redis inside a text. */
export function withoutCredentials(text: string): string {
  return (
    text
      // Up to the last @ before the path: a password that is not encoded may have one, too.
      .replace(/(rediss?:\/\/)[^/\s]*@/g, '$1***@')
      .replace(/([?&]password=)[^&\s]*/g, '$1***')
  );
}
