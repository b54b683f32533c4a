import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDescription } from '../../src/cluster/description.ts';
import { VerbexError } from '../../src/errors/errors.ts';

const member = (id: number): Record<string, unknown> => ({
  id,
  host: '127.0.0.1',
  port: 9200 + id,
  adminPort: 9300 + id,
  data: `member-${id}`,
});
const whole = (): Record<string, unknown> => ({
  name: 'verbex',
  control: { kind: 'file', path: 'control' },
  members: [member(1), member(2), { ...member(3), warm: true }],
});

describe('cluster.json', () => {
  test('fills in what is left out, and counts paths from its folder', () => {
    expect(parseDescription(whole(), '/etc/verbex')).toEqual({
      name: 'verbex',
      control: { kind: 'file', path: '/etc/verbex/control' },
      ack: 'memory',
      replicas: 2,
      minSync: 1,
      transport: 'auto',
      standby: false,
      timing: {},
      limits: {},
      snapshots: {},
      members: [1, 2, 3].map((id) => ({
        ...member(id),
        adminHost: '127.0.0.1',
        data: `/etc/verbex/member-${id}`,
        warm: id === 3,
      })),
    });
  });

  test('snapshots are due by commands and by bytes', () => {
    const snapshots = { every: 0, bytes: 1 << 30, historyBytes: 5 };
    expect(parseDescription({ ...whole(), snapshots }, '/').snapshots).toEqual(snapshots);
    expect(() => parseDescription({ ...whole(), snapshots: { bytes: -1 } }, '/')).toThrow('snapshots.bytes');
  });

  test('the examples of docs/cluster.md are what they say', () => {
    const manual = readFileSync(new URL('../../docs/cluster.md', import.meta.url), 'utf8');
    const [, json] = /```json\n(.*?)```/s.exec(manual)!;
    const description = parseDescription(JSON.parse(json!), '/');
    expect(description).toMatchObject({ replicas: 3, keyFile: '/cluster.key', control: { kind: 'etcd' } });
    const fields = ['name', 'control', 'members', 'ack', 'replicas', 'minSync', 'transport', 'keyFile'];
    for (const field of [
      ...fields,
      'adminTokenFile',
      'timing',
      'limits',
      'tls',
      'standby',
      'warm',
      'data',
      'adminHost',
    ])
      expect(manual).toContain(`\`${field}\``);
  });

  const etcd = { kind: 'etcd', endpoints: ['http://127.0.0.1:2379'] };
  test.each<[string, object, string]>([
    ['name', { name: '' }, 'name: expected a text'],
    ['name', { name: 'a/b' }, 'name: expected letters'],
    [
      'control.kind',
      { control: { kind: 'zookeeper' } },
      'control.kind: expected file or etcd, got "zookeeper"',
    ],
    ['control', { control: undefined }, 'control: expected an object, got undefined'],
    ['control.endpoints', { control: { kind: 'etcd', endpoints: [] } }, 'at least one URL'],
    ['control.endpoints[0]', { control: { kind: 'etcd', endpoints: ['localhost:2379'] } }, 'an http://'],
    ['control.user', { control: { ...etcd, user: 'root' } }, 'user and passwordFile'],
    ['control.path', { control: { ...etcd, path: 'x' } }, 'there is no such field'],
    ['control.kind', { members: [member(1), { ...member(2), host: '10.0.0.2' }] }, 'several hosts'],
    ['members', { members: [] }, '1 to 31 members'],
    [
      'members[1].id',
      { members: [member(1), { ...member(2), id: 1 }] },
      'another one than that of members[0].id',
    ],
    ['members[1].port', { members: [member(1), { ...member(2), port: 9201 }] }, 'members[0].port'],
    ['members[0].adminPort', { members: [{ ...member(1), adminPort: 9201 }] }, 'members[0].port'],
    ['members[1].data', { members: [member(1), { ...member(2), data: './member-1' }] }, 'members[0].data'],
    ['members[0].id', { members: [{ ...member(1), id: 32 }] }, 'an integer from 1 to 31'],
    ['members[0].port', { members: [{ ...member(1), port: 0 }] }, 'an integer from 1 to 65535'],
    ['members[0].hot', { members: [{ ...member(1), hot: true }] }, 'there is no such field'],
    ['members[0].warm', { members: [{ ...member(1), warm: 1 }] }, 'true or false'],
    ['members[0].adminHost', { members: [{ ...member(1), adminHost: '0.0.0.0' }] }, 'an adminTokenFile'],
    ['replicas', { replicas: 4 }, 'an integer from 1 to 3'],
    ['minSync', { minSync: 3 }, 'an integer from 1 to 2'],
    ['ack', { ack: 'disk' }, 'memory or durable'],
    ['transport', { transport: 'udp' }, 'auto or tcp or shm or verbs'],
    ['timing.suspectMs', { timing: { suspectMs: 10 } }, 'more than heartbeatMs'],
    ['timing.heartbeat', { timing: { heartbeat: 10 } }, 'there is no such field'],
    ['tls.key', { tls: { certificate: 'a.pem' } }, 'a text'],
    ['standby', { standby: 'yes' }, 'true or false'],
    ['limits.maxOrders', { limits: { maxOrders: 1.5 } }, 'an integer'],
    ['replica', { replica: 3 }, 'there is no such field'],
  ])('%s is refused by its name (%#)', (field, change, sentence) => {
    const parse = (): unknown => parseDescription({ ...whole(), ...change }, '/');
    expect(parse).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', field }));
    expect(parse).toThrow(sentence);
  });

  test('whatever stands in it, it is taken or refused with a code', () => {
    const anything = fc.dictionary(
      fc.constantFrom('name', 'control', 'members', 'ack', 'replicas', 'timing', 'limits', 'keyFile', 'x'),
      fc.oneof(
        fc.jsonValue(),
        fc.constant(whole().members),
        fc.constant(whole().control),
        fc.constant('verbex'),
      ),
    );
    fc.assert(
      fc.property(fc.oneof(anything, fc.jsonValue()), (value) => {
        try {
          parseDescription(value, '/');
        } catch (error) {
          expect(error).toBeInstanceOf(VerbexError);
        }
      }),
    );
  });
});
