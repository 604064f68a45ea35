import { outputClosed } from './outputClosed.ts';
import { runCli } from './program.ts';

// `drover get jobs | head` closes our output early; that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  outputClosed();
});

process.exitCode = await runCli(process.argv.slice(2));
// A reader may be slower than we are: what is printed is on its way until it has taken it.
await Promise.all([process.stdout, process.stderr].map(flushed));
// Nothing should be left; what is must not keep the shell waiting.
setTimeout(() => process.exit(), 50).unref();

async function flushed(stream: NodeJS.WriteStream): Promise<void> {
  await new Promise<void>((resolve) => stream.write('', () => resolve()));
}
