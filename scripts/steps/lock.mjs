// One setup at a time in one clone: `npm start` and `npm test` may be started together.
//
// The lock is an abstract Unix socket named after the clone. The kernel gives it to one process and
// takes it back when that process ends in whatever way, so that there is no stale lock to clean up.
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { root, say } from './console.mjs';

const retryMs = 100;

function tryListen(address) {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(address, () => {
      server.unref();
      resolve(server);
    });
  });
}

export async function withSetupLock(body) {
  const name = createHash('sha256').update(root).digest('hex').slice(0, 16);
  const address = `\0verbex-setup-${name}`;
  let server = await tryListen(address);
  if (server === undefined) say('setup: another setup of this clone is running, waiting for it');
  while (server === undefined) {
    await sleep(retryMs);
    server = await tryListen(address);
  }
  try {
    return await body();
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}
