// Orders over OUCH 5.0, the book from ITCH 5.0: beside `npm start`, run `node examples/ouch-session.mjs`.
// Other ports and users: node examples/ouch-session.mjs <orders> <stream> <user> <password> <symbol>
import { ItchBook, OuchClient } from 'verbex';

const [
  orders = '127.0.0.1:8090',
  stream = '127.0.0.1:8092',
  user = 'DEMO',
  password = 'demo',
  symbol = 'BTC-USD',
] = process.argv.slice(2);

const client = await OuchClient.connect({ address: orders, user, password });
const book = await ItchBook.open({ stream, user, password });
client.on('message', (message) => console.log(message.type, message));

const accepted = await client.enter({ side: 'buy', symbol, quantity: 10, price: 640_000 });
console.log(book.levels(symbol, 3).bids);
await client.replace(accepted.userRefNum, { quantity: 20, price: 640_001 });
await client.massCancel();
await book.close();
await client.close();
