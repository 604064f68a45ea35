import { describe, expect, test } from 'vitest';

import { planList, type ListRequest } from '../../src/run/listPlan.ts';

const request: ListRequest = {
  command: ['echo', '{}'],
  rows: [['a b']],
  sourceCount: 1,
  shell: null,
  tagstring: null,
  joblogPath: null,
  resume: null,
  halt: null,
};

function first(over: Partial<ListRequest>) {
  const plan = planList({ ...request, ...over });
  const [item] = plan.items;
  if (item === undefined) throw new Error('no item');
  return { argv: [...plan.command, ...plan.argsOf(item)], text: plan.textOf(item) };
}

describe('a command is run', () => {
  test.each<[string, Partial<ListRequest>, string[], string]>([
    ['without a shell when it has several words', {}, ['echo', 'a b'], "echo 'a b'"],
    [
      'without a shell, whatever is in its words',
      { command: ['echo', '$HOME; {}'] },
      ['echo', '$HOME; a b'],
      "echo '$HOME; a b'",
    ],
    [
      'without a shell when it is one plain word',
      { command: ['gzip'] },
      ['gzip', 'a b'],
      "gzip 'a b'",
    ],
    [
      'by a shell when it is one word that needs one',
      { command: ['echo {} | wc -c'] },
      ['sh', '-c', "echo 'a b' | wc -c"],
      "echo 'a b' | wc -c",
    ],
    [
      'by a shell when asked for',
      { shell: true, command: ['echo', '{}', '>', 'out'] },
      ['sh', '-c', "echo 'a b' > out"],
      "echo 'a b' > out",
    ],
    [
      'without a shell when that is refused',
      { shell: false, command: ['./my program'] },
      ['./my program', 'a b'],
      "'./my program' 'a b'",
    ],
    [
      'as it is when it is the argument itself',
      { command: [], rows: [['echo x; date']] },
      ['sh', '-c', 'echo x; date'],
      'echo x; date',
    ],
    [
      'also when the program is an argument',
      { command: ['{}', '-v'], rows: [['my prog']] },
      ['sh', '-c', 'exec "$@"', 'sh', 'my prog', '-v'],
      "'my prog' -v",
    ],
  ])('%s', (_name, over, argv, text) => {
    expect(first(over)).toEqual({ argv, text });
  });
});

test('a tag is a text before a tab, with values as they are', () => {
  const rows = [['a b.c', 'd']];
  const tagOf = (tagstring: string) => {
    const plan = planList({ ...request, rows, sourceCount: 2, tagstring });
    return plan.items.map(plan.tagOf);
  };
  expect(tagOf('{}')).toEqual(['a b.c d\t']);
  expect(tagOf('n{#}-{1.}')).toEqual(['n1-a b\t']);
  expect(tagOf('same')).toEqual(['same\t']);
  expect(() => tagOf('{3}')).toThrow(/there are 2 sources/);
});
