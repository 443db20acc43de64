import { describe, expect, it } from 'vitest';
import { parseUserData } from './user-data.ts';

describe('user data', () => {
  it('gives the files of write_files, from JSON as from YAML', () => {
    const file = {
      path: '/run/livia/agent.json',
      content: '{"a": 1}\n',
      permissions: '0600',
      owner: 'root:root',
    };
    const expected = { files: [{ path: file.path, content: file.content, mode: 0o600 }], ignored: [] };
    expect(parseUserData(`#cloud-config\n${JSON.stringify({ write_files: [file] })}`)).toEqual(expected);
    const yaml = [
      '#cloud-config',
      '# made by hand',
      'write_files:',
      '- path: /run/livia/agent.json',
      '  owner: root:root',
      "  permissions: '0600'",
      '  content: |',
      '    {"a": 1}',
    ];
    expect(parseUserData(yaml.join('\n'))).toEqual(expected);
  });

  it('decodes base64, and takes the usual mode when none is said', () => {
    const text =
      '#cloud-config\nwrite_files: [{path: /run/a, encoding: b64, content: aGVsbG8=}, {path: /run/b}]';
    expect(parseUserData(text).files).toEqual([
      { path: '/run/a', content: 'hello', mode: 0o644 },
      { path: '/run/b', content: '', mode: 0o644 },
    ]);
    for (const permissions of ['0755', '"0755"', '0o755', '"755"']) {
      const [file] = parseUserData(
        `#cloud-config\nwrite_files: [{path: /run/b, permissions: ${permissions}}]`,
      ).files;
      expect([permissions, file?.mode]).toEqual([permissions, 0o755]);
    }
  });

  it('names what it leaves out', () => {
    expect(parseUserData('#cloud-config\npackages: [vim]\nruncmd: [ls]').ignored).toEqual([
      'packages',
      'runcmd',
    ]);
    expect(parseUserData('')).toEqual({ files: [], ignored: [] });
  });

  it('is refused when it is something else', () => {
    const wrong: [string, RegExp][] = [
      ['#!/bin/sh\nls', /does not begin with #cloud-config/],
      ['#cloud-config\n- a', /no mapping/],
      ['#cloud-config\nwrite_files: a', /no list/],
      ['#cloud-config\nwrite_files: [{content: a}]', /no path/],
      ['#cloud-config\nwrite_files: [{path: /run/a, owner: bob}]', /owner bob/],
      ['#cloud-config\nwrite_files: [{path: /run/a, permissions: rw}]', /permissions rw/],
      ['#cloud-config\nwrite_files: [{path: /run/a, encoding: gzip}]', /encoding gzip/],
      ['#cloud-config\na: [', /./],
    ];
    for (const [text, reason] of wrong) expect(() => parseUserData(text)).toThrow(reason);
  });
});
