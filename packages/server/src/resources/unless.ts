/** For `catch`: an error of a kind passes for nothing, every other one is thrown on. */
export function unless(kind: new (...args: never[]) => Error): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof kind)) throw error;
  };
}
