import { withEngine, withSecretKey } from '../options.ts';
import { withHelp, type Definition } from './definition.ts';

/** Defines the commands about the key file for Secrets. */
export function defineSecretKey({ program, finish }: Definition): void {
  const secretKey = program
    .command('secret-key')
    .description('Make the key file that Secrets are encrypted with, and replace its keys.');
  withHelp(secretKey, { notes: [], examples: ['drover secret-key create secret.key'] });

  const create = secretKey
    .command('create')
    .description('Make a key file. Every host of the installation needs a copy.')
    .argument('<file>', 'where it is to be')
    .option('--add', 'put a new key before those of an existing file');
  withHelp(create, {
    notes: [
      'The first key of the file encrypts, all of them decrypt. The file can be read by its owner only; who has it and reaches Redis can read every Secret. Without it nobody can: keep a copy.',
    ],
    examples: ['drover secret-key create secret.key', 'drover secret-key create --add secret.key'],
  }).action(async (file: string, options) => {
    const { createKeyCommand } = await import('../commands/secretKey.ts');
    finish(await createKeyCommand(file, options));
  });

  const reseal = secretKey
    .command('reseal')
    .description('Encrypt all Secrets with the first key that are encrypted with another one.');
  withHelp(withSecretKey(withEngine(reseal)), {
    notes: [
      'To replace a key: add the new one, give the file to every host (a program that runs reads it again when it meets a key that it does not know), reseal, take the old key out of the file.',
    ],
    examples: ['drover secret-key reseal --secret-key-file secret.key'],
  }).action(async (options) => {
    const { resealCommand } = await import('../commands/secretKey.ts');
    finish(await resealCommand(options));
  });
}
