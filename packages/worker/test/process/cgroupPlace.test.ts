import { describe, expect, test } from 'vitest';

import { ownCgroup, unitOf } from '../../src/process/cgroupPlace.ts';

const V1 = '4:memory:/user\n1:name=systemd:/\n';
const CGROUP2 = '35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate';
const OTHERS = '22 1 0:20 / / rw - ext4 /dev/vda rw\n40 22 0:40 / /a rw - tmpfs cgroup2 rw\n';

describe('the own cgroup of version 2', () => {
  test.each([
    ['of a service', '0::/system.slice/a.service\n', CGROUP2, '/system.slice/a.service'],
    ['of a container with a namespace of its own', '0::/\n', CGROUP2, ''],
    ['beside those of version 1', `${V1}0::/a\n`, `${OTHERS}${CGROUP2}\n`, '/a'],
  ])('%s', (_name, cgroup, mountinfo, path) => {
    expect(ownCgroup(cgroup, mountinfo)).toEqual({ mountPoint: '/sys/fs/cgroup', path });
  });

  test('where only a part of the hierarchy is mounted, at a path with a space', () => {
    const part = String.raw`35 24 0:30 /docker/1 /my\040groups rw - cgroup2 none rw`;
    const seen = { mountPoint: '/my groups', path: '/inner' };
    expect(ownCgroup('0::/docker/1/inner\n', part)).toEqual(seen);
    expect(ownCgroup('0::/docker/1\n', part)).toEqual({ ...seen, path: '' });
    // Another one whose name begins in the same way.
    expect(ownCgroup('0::/docker/12\n', part)).toBeNull();
  });

  test.each([
    ['with version 1 alone', V1, OTHERS],
    ['that is not mounted', '0::/\n', OTHERS],
    ['where nothing can be read', '', ''],
  ])('there is none %s', (_name, cgroup, mountinfo) => {
    expect(ownCgroup(cgroup, mountinfo)).toBeNull();
  });
});

describe('the unit of systemd', () => {
  const user = '/user.slice/user-1000.slice/user@1000.service';

  test.each([
    ['/system.slice/drover.service', 'drover.service', false],
    ['/user.slice/user-0.slice/session-1.scope', 'session-1.scope', false],
    [user, 'user@1000.service', false],
    [`${user}/app.slice/drover.service`, 'drover.service', true],
  ])('of %s', (path, name, isOfUser) => {
    expect(unitOf(path)).toEqual({ name, path, isOfUser });
    expect(unitOf(`${path}/drover-workers`)).toEqual({ name, path, isOfUser });
  });

  test('of what is in none', () => {
    expect(unitOf('')).toBeNull();
    expect(unitOf('/a/b')).toBeNull();
  });
});
