// Two Node processes and a stream each way: `node examples/bus.mjs listen`, then `node examples/bus.mjs connect shm` (or tcp, verbs, auto).
import { Bus } from 'verbex';

const [role, transport = 'auto', address = '127.0.0.1:7007'] = process.argv.slice(2);

if (role === 'listen') {
  const bus = await Bus.listen(address, { name: 'listener', transport });
  const answers = await bus.publish('answers', { retain: true });
  console.log(`listening on ${bus.address}`);
  bus.onEvent(async ({ type, peer }) => {
    if (type !== 'peer-connected') return;
    console.log(`${peer.name} is there over ${peer.transport}`);
    const questions = await bus.subscribe('questions', { peer: peer.id, from: 'oldest' });
    for await (const { position, data } of questions)
      await answers.send(Buffer.from(`${Buffer.from(data)} to you too (${position})`));
    await bus.close();
  });
} else {
  const bus = await Bus.connect(address, { name: 'connector', transport });
  const questions = await bus.publish('questions', { retain: true });
  const answers = await bus.subscribe('answers', { from: 'oldest' });
  for (const word of ['hello', 'good day', 'good bye']) await questions.send(Buffer.from(word));
  for await (const { position, data } of answers) {
    console.log(Buffer.from(data).toString());
    if (position === 3n) break;
  }
  await bus.close();
}
