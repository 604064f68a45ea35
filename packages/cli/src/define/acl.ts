import { Option } from 'commander';

import { withHelp, type Definition } from './definition.ts';

/** Defines `drover acl`. */
export function defineAcl({ program, finish }: Definition): void {
  const command = program
    .command('acl')
    .description('Print users for Redis, one for each role, that may do what it needs and no more.')
    .addOption(new Option('--prefix <text>', 'key prefix of the installation').env('DROVER_PREFIX'))
    .addOption(
      new Option(
        '--format <format>',
        'setuser: commands for redis-cli; aclfile: lines for the file that Redis calls aclfile',
      )
        .choices(['setuser', 'aclfile'])
        .default('setuser'),
    )
    .option(
      '--passwords <dir>',
      'give each user the password in the file of its role there; those that are missing are made',
    );
  withHelp(command, {
    notes: [
      'Roles: controller, worker, server, producer (creates Jobs and fills work queues; no Secrets, no slots), reader (`drover get`, `logs`, `doctor`). A user is called after prefix and role, `drover-worker`.',
      'Of a password only its SHA-256 is printed. Without --passwords the users have none, and nobody can log in as one of them.',
      'docs/security.md says what these users can not keep apart.',
    ],
    examples: [
      'drover acl --passwords secrets | redis-cli',
      'drover acl --passwords secrets --format aclfile >> users.acl',
    ],
  }).action(async (options) => {
    const { aclCommand } = await import('../commands/acl.ts');
    finish(await aclCommand(options));
  });
}
