export { helpOf, pathOf, type CommandHelp } from './define/definition.ts';
export { allCommands, environmentOf, type Variable } from './define/environment.ts';
export { buildProgram, runCli } from './program.ts';
