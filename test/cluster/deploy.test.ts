// What lies in deploy/ is what the commands take.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { commands } from '../../src/cli/main.ts';
import { parseDescription } from '../../src/cluster/description.ts';
import { exitCodes } from '../../src/errors/exit-codes.ts';
import { root } from '../architecture/files.ts';

const units = join(root, 'deploy', 'systemd');

test('the cluster of three hosts is one', () => {
  const text = readFileSync(join(root, 'deploy', 'three-hosts', 'cluster.json'), 'utf8');
  const description = parseDescription(JSON.parse(text), '/etc/verbex');
  expect(description).toMatchObject({
    transport: 'verbs',
    adminTokenFile: '/etc/verbex/admin.token',
    replicas: 3,
  });
  expect(new Set(description.members.map(({ host }) => host)).size).toBe(3);
  const etcd = parse(readFileSync(join(root, 'deploy', 'three-hosts', 'etcd.conf.yml'), 'utf8'));
  expect(description.control).toMatchObject({
    endpoints: etcd['initial-cluster']
      .split(',')
      .map((one: string) => one.replace(/^\w+=/, '').replace('2380', '2379')),
  });
});

test('every unit starts a command that there is, with options that it has', () => {
  const names = readdirSync(units);
  expect(names.length).toBeGreaterThan(2);
  for (const name of names) {
    const text = readFileSync(join(units, name), 'utf8');
    const [, line = ''] = /^ExecStart=\/usr\/bin\/verbex (.*)$/m.exec(text) ?? [];
    const command = commands.find((one) => line === one.name || line.startsWith(`${one.name} `));
    expect(command, line).toBeDefined();
    for (const [, option] of line.matchAll(/--([\w-]+)/g))
      expect(command!.options?.map((one) => one.name)).toContain(option);
    const [, prevented = ''] = /^RestartPreventExitStatus=(.*)$/m.exec(text) ?? [];
    for (const code of prevented.split(' ').filter(Boolean))
      expect(exitCodes.map(([one]) => one)).toContain(Number(code));
  }
});
