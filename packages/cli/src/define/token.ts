import { durationOption, listOption, withEngine } from '../options.ts';
import { withHelp, type Definition } from './definition.ts';

const FILE_OPTION = '--file <path>';

/** Defines the commands about tokens of the API server. */
export function defineToken(definition: Definition): void {
  const { program, finish } = definition;
  const token = program
    .command('token')
    .description('Make, list and revoke bearer tokens for the API server.');
  withHelp(token, { notes: [], examples: ['drover token create ci --role edit:team-a'] });
  defineCreate(definition, token);

  const list = token
    .command('list')
    .description('List the tokens.')
    .option(FILE_OPTION, 'those in this file instead of those in Redis');
  withHelp(withEngine(list), { notes: [], examples: ['drover token list'] }).action(
    async (options) => {
      const { listTokensCommand } = await import('../commands/token.ts');
      finish(await listTokensCommand(options));
    },
  );

  const revoke = token
    .command('revoke')
    .description('Revoke tokens: a server refuses them within a few seconds.')
    .argument('<name...>', 'names of tokens')
    .option(FILE_OPTION, 'those in this file instead of those in Redis');
  withHelp(withEngine(revoke), {
    notes: ['Watches that are open go on to their end, half an hour to an hour at most.'],
    examples: ['drover token revoke ci'],
  }).action(async (names: string[], options) => {
    const { revokeTokensCommand } = await import('../commands/token.ts');
    finish(await revokeTokensCommand(names, options));
  });
}

function defineCreate({ problems, finish }: Definition, token: Definition['program']): void {
  const create = token
    .command('create')
    .description('Make a token and print it. It is shown this once: only its digest is kept.')
    .argument('<name>', 'who has it is called so')
    .addOption(
      listOption(
        '--role <role>',
        'view, edit or admin, in one namespace as in edit:team-a; may repeat',
      ).makeOptionMandatory(),
    )
    .addOption(
      durationOption(problems, '--ttl <duration>', 'refuse it after so long (default: never)'),
    )
    .option(FILE_OPTION, 'keep it in this file, for `drover server --tokens`, instead of in Redis');
  withHelp(withEngine(create), {
    notes: [
      'view: read everything but Secrets. edit: also Secrets, and change what is in namespaces: who may create Jobs may run programs on the workers. admin: everything. Without a namespace a role holds in all of them, and for nodes and namespaces themselves.',
    ],
    examples: [
      'drover token create ci --role edit:team-a --role view --ttl 2160h > ci.token',
      'drover token create ci --role view --file tokens.yaml',
    ],
  }).action(async (name: string, options) => {
    const { createTokenCommand } = await import('../commands/token.ts');
    finish(await createTokenCommand(name, options));
  });
}
