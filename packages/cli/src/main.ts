import { outputClosed } from './outputClosed.ts';
import { runCli } from './program.ts';

// `drover get jobs | head` closes our output early; that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  outputClosed();
});

process.exitCode = await runCli(process.argv.slice(2));
// Nothing should be left; what is must not keep the shell waiting.
setTimeout(() => process.exit(), 50).unref();
