import { describe, expect, test } from 'vitest';

import { readCronSchedule } from '../../src/cron/schedule.ts';

/** The plain form of a schedule, or what is wrong with it. */
function read(text: string): unknown {
  const reading = readCronSchedule(text);
  if (!reading.ok) return reading.problems.map(({ reason }) => reason);
  const { schedule } = reading;
  return schedule.type === 'every' ? schedule.everyMs : schedule.pattern;
}

describe('a schedule', () => {
  const cases: { name: string; text: string; is: string | number }[] = [
    { name: 'of stars', text: '* * * * *', is: '* * * * *' },
    { name: 'with ? for any', text: '0 0 ? * ?', is: '0 0 * * *' },
    { name: 'with much space', text: ' 0\t0  1 1 * ', is: '0 0 1 1 *' },
    { name: 'of ranges and lists', text: '5,1-3 0 1 1 0', is: '1,2,3,5 0 1 1 0' },
    { name: 'with empty parts in a list', text: '1,,2, 0 1 1 0', is: '1,2 0 1 1 0' },
    { name: 'of steps over all', text: '*/20 */12 1 1 0', is: '0,20,40 0,12 1 1 0' },
    { name: 'of steps from a number on', text: '50/5 20/2 1 1 0', is: '50,55 20,22 1 1 0' },
    { name: 'of steps over a range', text: '1-9/4 0 1 1 0', is: '1,5,9 0 1 1 0' },
    { name: 'with a step of one, which is any', text: '0 0 */1 * 1', is: '0 0 * * 1' },
    { name: 'with a step of days, which is a choice', text: '0 0 */30 * 1', is: '0 0 1,31 * 1' },
    { name: 'with names in any case', text: '0 0 1 JAN,mar Mon-Wed', is: '0 0 1 1,3 1,2,3' },
    { name: 'with a range that begins with a star', text: '*-5 0 1 1 0', is: '* 0 1 1 0' },
    { name: 'of every year', text: '@yearly', is: '0 0 1 1 *' },
    { name: 'of every year, in another word', text: '@annually', is: '0 0 1 1 *' },
    { name: 'of every month', text: '@monthly', is: '0 0 1 * *' },
    { name: 'of every week', text: '@weekly', is: '0 0 * * 0' },
    { name: 'of every day', text: '@daily', is: '0 0 * * *' },
    { name: 'of every day, in another word', text: '@midnight', is: '0 0 * * *' },
    { name: 'of every hour', text: '@hourly', is: '0 * * * *' },
    { name: 'of a duration', text: '@every 1h30m', is: 5_400_000 },
    { name: 'of a duration in whole seconds', text: '@every 1.9s', is: 1_000 },
    { name: 'of at least a second', text: '@every 10ms', is: 1_000 },
  ];
  test.each(cases)('$name', ({ text, is }) => {
    expect(read(text)).toBe(is);
  });
});

describe('no schedule is', () => {
  const int = (text: string): string =>
    `failed to parse int from ${text}: strconv.Atoi: parsing "${text}": invalid syntax`;
  const cases: { text: string; reasons: string[] }[] = [
    { text: '', reasons: ['empty spec string'] },
    { text: '* * * *', reasons: ['expected exactly 5 fields, found 4: [* * * *]'] },
    { text: '0 * * * * *', reasons: ['expected exactly 5 fields, found 6: [0 * * * * *]'] },
    { text: '60 * * * *', reasons: ['end of range (60) above maximum (59): 60'] },
    { text: '* 24 * * *', reasons: ['end of range (24) above maximum (23): 24'] },
    { text: '* * 0 * *', reasons: ['beginning of range (0) below minimum (1): 0'] },
    { text: '* * 32 * *', reasons: ['end of range (32) above maximum (31): 32'] },
    { text: '* * * 13 *', reasons: ['end of range (13) above maximum (12): 13'] },
    { text: '* * * * 7', reasons: ['end of range (7) above maximum (6): 7'] },
    { text: '5-1 * * * *', reasons: ['beginning of range (5) beyond end of range (1): 5-1'] },
    { text: '*/0 * * * *', reasons: ['step of range should be a positive number: */0'] },
    { text: '1/2/3 * * * *', reasons: ['too many slashes: 1/2/3'] },
    { text: '1-2-3 * * * *', reasons: ['too many hyphens: 1-2-3'] },
    { text: 'x * * foo *', reasons: [int('x'), int('foo')] },
    { text: '* * L * 5#3', reasons: [int('L'), int('5#3')] },
    { text: '* * * mon *', reasons: [int('mon')] },
    { text: '-1 * * * *', reasons: [int('')] },
    { text: ', * * * *', reasons: ['no value in the list: ,'] },
    { text: '@reboot', reasons: ['unrecognized descriptor: @reboot'] },
    { text: '@every', reasons: ['unrecognized descriptor: @every'] },
    { text: '@every soon', reasons: ['failed to parse duration @every soon'] },
    {
      text: 'TZ=UTC 0 0 * * *',
      reasons: ['TZ and CRON_TZ are not allowed in a schedule: name the zone in timeZone'],
    },
  ];
  test.each(cases)('"$text"', ({ text, reasons }) => {
    expect(read(text)).toEqual(reasons);
  });

  test('and it says where', () => {
    const reading = readCronSchedule('0 25 * jan,foo *');
    expect(reading).toMatchObject({
      problems: [
        { field: 'hour', offset: 2 },
        { field: 'month', offset: 11 },
      ],
    });
  });
});
