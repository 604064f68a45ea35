import { describe, expect, test } from 'vitest';

import {
  formatSelector,
  InvalidSelectorError,
  matchesSelector,
  parseSelector,
  selectorFromObject,
  type Labels,
  type Selector,
} from '../src/index.ts';
import { labelSelectorIssues } from '../src/labels.ts';

describe('parseSelector', () => {
  const cases: [text: string, want: Selector][] = [
    ['', []],
    ['  ', []],
    ['a=b', [{ key: 'a', operator: 'In', values: ['b'] }]],
    ['a==b', [{ key: 'a', operator: 'In', values: ['b'] }]],
    ['a=', [{ key: 'a', operator: 'In', values: [''] }]],
    ['a!=b', [{ key: 'a', operator: 'NotIn', values: ['b'] }]],
    ['a in (x,y)', [{ key: 'a', operator: 'In', values: ['x', 'y'] }]],
    ['a notin (x)', [{ key: 'a', operator: 'NotIn', values: ['x'] }]],
    ['a in(x)', [{ key: 'a', operator: 'In', values: ['x'] }]],
    ['a in (,x)', [{ key: 'a', operator: 'In', values: ['', 'x'] }]],
    ['a', [{ key: 'a', operator: 'Exists', values: [] }]],
    ['!a', [{ key: 'a', operator: 'DoesNotExist', values: [] }]],
    ['! a', [{ key: 'a', operator: 'DoesNotExist', values: [] }]],
    ['in', [{ key: 'in', operator: 'Exists', values: [] }]],
    ['a>1', [{ key: 'a', operator: 'GreaterThan', values: ['1'] }]],
    ['a<-1', [{ key: 'a', operator: 'LessThan', values: ['-1'] }]],
    ['example.com/a=b', [{ key: 'example.com/a', operator: 'In', values: ['b'] }]],
    [
      ' a = b , c != d,e in ( x , y ),!f, g',
      [
        { key: 'a', operator: 'In', values: ['b'] },
        { key: 'c', operator: 'NotIn', values: ['d'] },
        { key: 'e', operator: 'In', values: ['x', 'y'] },
        { key: 'f', operator: 'DoesNotExist', values: [] },
        { key: 'g', operator: 'Exists', values: [] },
      ],
    ],
  ];

  test.each(cases)('reads "%s"', (text, want) => {
    expect(parseSelector(text)).toEqual(want);
  });

  test.each([
    ['=b', 'expected a label key at character 1, but found "="'],
    ['a,', 'expected a label key at character 3, but it ends'],
    [',a', 'expected a label key at character 1, but found ","'],
    ['a b', 'expected an operator, "," or the end at character 3, but found "b"'],
    ['a=b c', 'expected "," or the end at character 5, but found "c"'],
    ['a=b=c', 'expected "," or the end at character 4, but found "="'],
    ['a in x', 'expected "(" at character 6, but found "x"'],
    ['a in (x', 'expected "," or ")" at character 8, but it ends'],
    ['a in (x))', 'expected "," or the end at character 9, but found ")"'],
    ['a>b', '"b": an integer must follow ">" and "<"'],
    ['-a=b', 'key "-a": name part'],
    ['a=-b', 'value "-b": a valid label must be'],
    ['a/b/c', 'key "a/b/c"'],
    ['!a=b', 'expected "," or the end at character 3'],
  ])('refuses "%s"', (text, problem) => {
    expect(() => parseSelector(text)).toThrow(InvalidSelectorError);
    expect(() => parseSelector(text)).toThrow(`unable to parse label selector "${text}": `);
    expect(() => parseSelector(text)).toThrow(problem);
  });
});

describe('matchesSelector', () => {
  const labels: Labels = { app: 'pi', tier: '2', empty: '' };

  test.each([
    ['', true],
    ['app=pi', true],
    ['app=x', false],
    ['none=x', false],
    ['app!=x', true],
    ['app!=pi', false],
    ['none!=x', true],
    ['app in (x,pi)', true],
    ['app notin (x,pi)', false],
    ['none notin (x)', true],
    ['app', true],
    ['none', false],
    ['!app', false],
    ['!none', true],
    ['empty=', true],
    ['none=', false],
    ['tier>1', true],
    ['tier>2', false],
    ['tier<10', true],
    ['app>1', false],
    ['none<1', false],
    ['app=pi,tier=3', false],
    ['app=pi,tier=2', true],
    // Not a label, though every object has it.
    ['constructor', false],
  ])('"%s" is %s', (text, want) => {
    expect(matchesSelector(parseSelector(text), labels)).toBe(want);
  });
});

describe('selectors as objects', () => {
  test('both parts must hold', () => {
    const selector = selectorFromObject({
      matchLabels: { app: 'pi' },
      matchExpressions: [{ key: 'tier', operator: 'Exists' }],
    });
    expect(matchesSelector(selector, { app: 'pi', tier: '' })).toBe(true);
    expect(matchesSelector(selector, { app: 'pi' })).toBe(false);
    expect(matchesSelector(selector, { tier: '' })).toBe(false);
    expect(matchesSelector(selectorFromObject({}), {})).toBe(true);
  });

  test.each([
    ['a=b', 'a=b'],
    ['b in (y,x),a!=c', 'b in (x,y),a!=c'],
    ['a notin (x,y), !c , d', 'a notin (x,y),!c,d'],
    ['a>1,b<2', 'a>1,b<2'],
  ])('"%s" is written "%s"', (text, want) => {
    expect(formatSelector(parseSelector(text))).toBe(want);
  });

  test('are checked field by field', () => {
    const issues = labelSelectorIssues(
      {
        matchLabels: { '-a': 'b', c: '-d' },
        matchExpressions: [
          { key: '', operator: 'Exists' },
          { key: 'a', operator: 'In' },
          { key: 'a', operator: 'Exists', values: ['x'] },
          { key: 'a', operator: 'NotIn', values: ['x', '-'] },
        ],
      },
      's',
    );
    expect(issues.map(({ path, kind }) => `${path} ${kind}`)).toEqual([
      's.matchLabels Invalid',
      's.matchLabels Invalid',
      's.matchExpressions[0].key Invalid',
      's.matchExpressions[0].key Invalid',
      's.matchExpressions[1].values Required',
      's.matchExpressions[2].values Forbidden',
      's.matchExpressions[3].values[1] Invalid',
    ]);
  });
});
