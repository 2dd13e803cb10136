// Calls xds:///shop.v1.CartService as often as each line of stdin says and
// prints how many answers came from whom.
const grpc = require('@grpc/grpc-js');
require('@grpc/grpc-js-xds').register();
const client = new grpc.Client('xds:///shop.v1.CartService', grpc.credentials.createInsecure());

// A StringValue: field 1, length, text.
const decode = (b) => (b.length === 0 ? '' : b.subarray(2).toString());

function call() {
  return new Promise((resolve) => {
    client.makeUnaryRequest('/shop.v1.CartService/Get', () => Buffer.alloc(0), decode, {}, { deadline: Date.now() + 10000 },
      (err, name) => resolve(err ? 'error:' + err.message.replace(/[\s=]+/g, '_') : name));
  });
}

require('readline').createInterface({ input: process.stdin }).on('line', async (line) => {
  const count = {};
  for (let i = 0; i < Number(line); i++) {
    const name = await call();
    count[name] = (count[name] || 0) + 1;
  }
  console.log(Object.keys(count).sort().map((n) => n + '=' + count[n]).join(' '));
}).on('close', () => process.exit(0));
