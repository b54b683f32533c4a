// switchSite against admin ports that say what a test wants them to: a standby site whose leader has taken over all it has, and will hear nothing more.
import { afterEach, expect, test } from 'vitest';
import { AdminServer } from '../../src/cluster/admin.ts';
import { ClusterAdmin } from '../../src/cluster/cluster-admin.ts';
import { parseDescription } from '../../src/cluster/description.ts';
import { switchSite } from '../../src/cluster/site-switch.ts';
import type { OperatorWord } from '../../src/native/cluster-types.ts';

const servers: AdminServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

interface Said {
  site: string;
  role: string;
  epoch: string;
  lastEpoch: string;
  position: string;
  released: string;
  resultHash: string;
}

async function siteThatSays(said: Said, words: OperatorWord[]): Promise<ClusterAdmin> {
  const server = await AdminServer.listen({
    ...{ host: '127.0.0.1', port: 0, token: undefined },
    status: () => JSON.stringify({ id: 1, halted: '', revision: '1', sync: [1], ...said }),
    operator: async (word) => {
      words.push(word);
      if (word === 'activateSite') said.site = 'active';
      if (word === 'fenceSite') [said.site, said.role] = ['fenced', 'follower'];
    },
  });
  servers.push(server);
  const member = { id: 1, host: '127.0.0.1', port: 9, adminPort: server.port, data: 'one' };
  const control = { kind: 'file', path: 'control' };
  return new ClusterAdmin(parseDescription({ name: 'one', control, members: [member] }, '/'));
}

const end = { position: '10', resultHash: 'ab' };
const here: Said = {
  ...end,
  ...{ site: 'active', role: 'leader', epoch: '3', lastEpoch: '3', released: '10' },
};
const there: Said = {
  ...end,
  ...{ site: 'standby', role: 'leader', epoch: '9', lastEpoch: '8', released: '4' },
};

async function switched(standby: Partial<Said>, lost: boolean) {
  const words: OperatorWord[] = [];
  const source = await siteThatSays({ ...here }, words);
  const target = await siteThatSays({ ...there, ...standby }, words);
  const plan = { timeoutMs: 200, say: () => undefined };
  const result = await switchSite(lost ? undefined : source, target, plan).catch((error: unknown) => error);
  return { result, words };
}

test('what a standby’s leader has taken over is enough, also where nothing came to commit it', async () => {
  for (const lost of [false, true]) {
    const { result, words } = await switched({}, lost);
    expect(result).toMatchObject({ ...end, lost, leader: 1 });
    expect(words).toEqual(lost ? ['activateSite'] : ['fenceSite', 'activateSite']);
  }
});

test('what it has taken in its own epoch must have been released', async () => {
  const { result, words } = await switched({ lastEpoch: '9' }, false);
  expect(result).toMatchObject({ code: 'SITE_BEHIND' });
  expect(words).toEqual(['fenceSite']);
});

test('another result at the same position is nobody’s to go on from', async () => {
  expect((await switched({ resultHash: 'cd' }, false)).result).toMatchObject({ code: 'SITES_DIFFER' });
});
