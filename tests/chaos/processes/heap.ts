/** Loaded before a process of a steady run: on SIGUSR2 it says what its heap holds that is still needed. */
process.on('SIGUSR2', () => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  process.stdout.write(`heap ${heapUsed + external}\n`);
});
