// What docs/operations.md has an operator do with the units of deploy/, done by systemd itself: see scripts/units.mjs. Runs as root inside
// the namespaces that boot.sh made; the last line is JSON.
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const project = join(import.meta.dirname, '..', '..');
const configuration = '/etc/verbex/cluster.json';
const patienceMs = 40_000;
const members = [1, 2, 3, 4];
const unit = (id) => `verbex-member@${id}.service`;
const systemctl = (...args) => execFileSync('systemctl', args, { encoding: 'utf8' });
const property = (id, name) => systemctl('show', '--property', name, '--value', unit(id)).trim();
const say = (line) => process.stdout.write(`${line}\n`);

/** Three hosts' configuration with this machine's addresses, over TCP, and a folder in etcd's place. */
function configure() {
  const description = JSON.parse(
    readFileSync(join(project, 'deploy', 'three-hosts', 'cluster.json'), 'utf8'),
  );
  description.control = { kind: 'file', path: '/var/lib/verbex/control' };
  description.transport = 'tcp';
  description.limits = { maxOrders: 65_536, maxAccounts: 4096, maxInstruments: 64, maxClientIds: 1 << 20 };
  for (const member of description.members) {
    member.host = member.adminHost = '127.0.0.1';
    member.port = 9200 + member.id;
    member.adminPort = 9300 + member.id;
  }
  writeFileSync(configuration, JSON.stringify(description));
  const user = Number(execFileSync('id', ['-u', 'verbex'], { encoding: 'utf8' }));
  for (const name of ['cluster.key', 'admin.token']) {
    writeFileSync(join('/etc/verbex', name), randomBytes(32).toString('base64'), { mode: 0o600 });
    chownSync(join('/etc/verbex', name), user, user);
  }
}

async function ask(id, path, body) {
  const authorization = `Bearer ${readFileSync('/etc/verbex/admin.token', 'utf8')}`;
  const method = body === undefined ? 'GET' : 'POST';
  const answer = await fetch(`http://127.0.0.1:${9300 + id}${path}`, {
    method,
    headers: { authorization, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`member ${id}, ${path}: ${answer.status} ${await answer.text()}`);
  return await answer.json();
}

/** What everybody that answers says of itself, by id. */
async function all() {
  const found = new Map();
  for (const id of members) {
    const status = await ask(id, '/status').catch(() => undefined);
    if (status !== undefined)
      found.set(id, { ...status, position: Number(status.position), epoch: Number(status.epoch) });
  }
  return found;
}

async function until(what, holds) {
  const end = performance.now() + patienceMs;
  for (;;) {
    const state = await all();
    const found = holds(state);
    if (found) return found;
    if (performance.now() > end) {
      say(systemctl('status', '--no-pager', 'verbex-member@*'));
      throw new Error(`${what}: ${JSON.stringify([...state.values()])}`);
    }
    await sleep(50);
  }
}

/** Who leads, once everybody is there and three are in the sync set; and its position. */
const whole = (state) => {
  if (state.size !== members.length) return undefined;
  const leader = [...state.values()].find(({ role }) => role === 'leader');
  return leader?.sync.length === 3 ? leader : undefined;
};
const moves = async () => {
  const { position } = await until('three hot members and a warm one', whole);
  await until('orders go on', (state) => (whole(state)?.position ?? 0) > position + 20);
};

configure();
say('members start');
for (const id of members) systemctl('start', unit(id));
const edge = ['run', '--cluster', configuration, '--data', '/tmp/edge', '--port', '0', '--admin-port', '0'];
await until('a leader', whole);
say('orders come, through an edge');
const crowd = spawn('/usr/bin/verbex', edge, { stdio: ['ignore', 'ignore', 'inherit'] });
await moves();

say('the leader is killed, and systemd starts it again');
const first = await until('a leader', whole);
systemctl('kill', '--signal', 'KILL', unit(first.id));
await until('another leader', (state) => {
  const leader = whole(state);
  return leader !== undefined && leader.epoch > first.epoch;
});
const restarts = Number(property(first.id, 'NRestarts'));
if (restarts !== 1) throw new Error(`systemd started the killed member ${restarts} times`);
await moves();

say('upgrade: one after the other is restarted, the leader last');
const before = await until('a leader', whole);
const order = [...members.filter((id) => id !== before.id).reverse(), before.id];
for (const id of order) {
  if (id === before.id) {
    // Others may have taken the places of those that were restarted.
    const now = await until('a leader', whole);
    if (now.id !== id) throw new Error(`member ${now.id} leads, without being asked to`);
    const next = now.sync.find((other) => other !== id);
    await ask(id, '/operator', { word: 'promote', member: next });
    await until('the promoted member leads', (state) => whole(state)?.id === next);
  }
  systemctl('restart', unit(id));
  await moves();
}

say('a configuration that is none: the unit fails, and is not started again and again');
const good = readFileSync(configuration, 'utf8');
const [idle] = [...(await all()).values()].filter(({ role }) => role !== 'leader').map(({ id }) => id);
writeFileSync(configuration, good.replace('"ack"', '"ark"'));
systemctl('restart', unit(idle));
const tries = Number(property(idle, 'NRestarts'));
const failed = performance.now() + patienceMs;
while (property(idle, 'ActiveState') !== 'failed' && performance.now() < failed) await sleep(50);
await sleep(1000);
const [state, code, now] = ['ActiveState', 'ExecMainStatus', 'NRestarts'].map((name) => property(idle, name));
if (state !== 'failed' || code !== '78' || Number(now) !== tries)
  throw new Error(`it is ${state} with exit code ${code}, after ${now} restarts`);
writeFileSync(configuration, good);
systemctl('reset-failed', unit(idle));
systemctl('start', unit(idle));
await moves();

say('all stop, and go on where they were');
crowd.kill('SIGTERM');
await new Promise((resolve) => crowd.once('exit', resolve));
for (const id of members) systemctl('stop', unit(id));
for (const id of members) {
  const ended = property(id, 'Result');
  if (ended !== 'success') throw new Error(`member ${id} stopped with ${ended}`);
}
for (const id of members) systemctl('start', unit(id));
const again = await until('three hot members and a warm one', whole);
for (const id of members) systemctl('stop', unit(id));
say(JSON.stringify({ kills: 1, restarts: members.length, position: again.position, epoch: again.epoch }));
