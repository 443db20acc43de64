import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cgroupsAt, findPlaces, openCgroups, type Place } from './cgroups.ts';

describe('where groups can be made', () => {
  it('is the memory and the CPU hierarchy on a machine with version 1, the roots before our own groups', () => {
    const mountinfo = [
      '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
      '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct',
      '35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:12 - cgroup cgroup rw,memory',
    ].join('\n');
    const own = '4:memory:/session/1\n1:cpu,cpuacct:/session/1\n';
    const cpu = '/sys/fs/cgroup/cpu,cpuacct';
    expect(findPlaces(mountinfo, own)).toEqual([
      { version: 'v1', memory: '/sys/fs/cgroup/memory', cpu },
      { version: 'v1', memory: '/sys/fs/cgroup/memory/session/1', cpu: `${cpu}/session/1` },
    ]);
  });

  it('is the one hierarchy on a machine with version 2', () => {
    const mountinfo = '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate';
    expect(findPlaces(mountinfo, '0::/system.slice/livia.service\n')).toEqual([
      { version: 'v2', memory: '/sys/fs/cgroup', cpu: undefined },
      { version: 'v2', memory: '/sys/fs/cgroup/system.slice/livia.service', cpu: undefined },
    ]);
  });

  it('is named once in a container that sees only its own part', () => {
    const mountinfo = '30 23 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup rw';
    expect(findPlaces(mountinfo, '0::/docker/1\n')).toEqual([
      { version: 'v2', memory: '/sys/fs/cgroup', cpu: undefined },
    ]);
  });

  it('is nowhere without mounts', () => {
    expect(findPlaces('27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n', '0::/\n')).toEqual([]);
  });
});

describe('limits', () => {
  let top: string;
  beforeEach(async () => {
    top = await mkdtemp(join(tmpdir(), 'livia-cgroups-'));
  });
  afterEach(() => rm(top, { recursive: true }));

  it('are written as version 2 wants them', async () => {
    const group = join(top, 'livia-t', 'i1');
    await mkdir(group, { recursive: true });
    await writeFile(join(group, 'memory.swap.max'), 'max');
    const cgroups = cgroupsAt({ version: 'v2', memory: top, cpu: undefined }, 't');
    const joins = await cgroups.create('i1', { memoryBytes: 512 * 2 ** 20, vcpus: 2 });
    expect(joins).toEqual([join(group, 'cgroup.procs')]);
    const written = async (...path: string[]) => readFile(join(top, ...path), 'utf8');
    expect(await written('cgroup.subtree_control')).toBe('+memory +cpu');
    expect(await written('livia-t', 'cgroup.subtree_control')).toBe('+memory +cpu');
    expect(await written('livia-t', 'i1', 'memory.max')).toBe('536870912');
    expect(await written('livia-t', 'i1', 'memory.swap.max')).toBe('0');
    expect(await written('livia-t', 'i1', 'memory.oom.group')).toBe('0');
    expect(await written('livia-t', 'i1', 'cpu.max')).toBe('200000 100000');
    expect(await cgroups.ids()).toEqual(['i1']);
  });

  it('are read as version 2 tells them', async () => {
    const group = join(top, 'livia-t', 'i1');
    await mkdir(group, { recursive: true });
    await writeFile(
      join(group, 'memory.events'),
      'low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 1\n',
    );
    await writeFile(join(group, 'memory.current'), '1048576\n');
    await writeFile(join(group, 'memory.max'), '536870912\n');
    await writeFile(join(group, 'cgroup.procs'), '12\n34\n');
    const cgroups = cgroupsAt({ version: 'v2', memory: top, cpu: undefined }, 't');
    expect(await cgroups.usage('i1')).toEqual({ oomKills: 2, memoryBytes: 1048576, limitBytes: 536870912 });
    expect(await cgroups.processes('i1')).toEqual([12, 34]);
    expect(await cgroups.usage('i2')).toBeUndefined();
  });

  it('are none where no group can be made, and why is told', async () => {
    const nowhere: Place = { version: 'v1', memory: join(top, 'missing', '\0'), cpu: undefined };
    const refused: Place[] = [];
    const cgroups = await openCgroups('t', [nowhere], (place) => refused.push(place));
    expect(cgroups.version).toBe('none');
    expect(refused).toEqual([nowhere]);
    expect(await cgroups.create('i1', { memoryBytes: 1, vcpus: 1 })).toEqual([]);
  });
});
