// A host of counters in Node: the standard library and the agent's contract.
//
// GET  /             the count
// POST /add          one more, in memory and in storage; ?hold=SECONDS waits first
// GET  /ws           a WebSocket: each message adds one, the answer is the count
// GET  /deactivated  objects whose end we were told
import http from "node:http";
import { createHash } from "node:crypto";

const { HOST, PORT, STORAGE } = process.env;
const counts = new Map();
const deactivated = [];

async function storage(method, key, event, body) {
  const answer = await fetch(`http://${STORAGE}/v1/storage/${key}`, { method, body, headers: { "Skewgate-Event": event } });
  const text = await answer.text();
  if (answer.status === 404) return undefined;
  if (answer.status === 409) throw new Error("stale");
  if (!answer.ok) throw new Error(`storage says ${answer.status}: ${text}`);
  return text;
}

async function activate(headers) {
  const key = headers["skewgate-object"];
  if (headers["skewgate-activation"] === "new")
    counts.set(key, Number((await storage("GET", "n", headers["skewgate-event"])) ?? 0));
  return key;
}

async function add(headers, key) {
  await storage("PUT", "n", headers["skewgate-event"], String(counts.get(key) + 1));
  counts.set(key, counts.get(key) + 1);
}

async function handle(req) {
  const url = new URL(req.url, "http://upstream");
  if (url.pathname === "/healthz") return [200, "ok"];
  if (url.pathname === "/deactivated") return [200, deactivated.join(" ")];
  if (url.pathname === "/_skewgate/deactivate") {
    counts.delete(req.headers["skewgate-object"]);
    deactivated.push(req.headers["skewgate-object"]);
    return [204, ""];
  }
  const key = await activate(req.headers);
  if (url.searchParams.has("hold")) {
    console.log("holding");
    await new Promise((ok) => setTimeout(ok, 1000 * Number(url.searchParams.get("hold"))));
  }
  if (url.pathname === "/add") {
    try {
      await add(req.headers, key);
    } catch (error) {
      console.log(error.message);
      return [500, error.message];
    }
  }
  return [200, String(counts.get(key))];
}

const server = http.createServer(async (req, res) => {
  for await (const _ of req);
  const [status, body] = await handle(req).catch((error) => [500, String(error)]);
  res.writeHead(status, { "Served-By": "node", "Content-Length": Buffer.byteLength(body) });
  res.end(body);
});

// Text frames of up to 125 bytes are all that the test sends.
server.on("upgrade", async (req, socket) => {
  const key = await activate(req.headers);
  const accept = createHash("sha1").update(req.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  let pending = Buffer.alloc(0);
  let chain = Promise.resolve();
  socket.on("error", () => {});
  socket.on("data", (data) => {
    pending = Buffer.concat([pending, data]);
    while (pending.length >= 6 && pending.length >= 6 + (pending[1] & 0x7f)) {
      const length = pending[1] & 0x7f, opcode = pending[0] & 0x0f;
      pending = pending.subarray(6 + length);
      if (opcode === 8) return socket.end(Buffer.from([0x88, 0]));
      chain = chain.then(async () => {
        await add(req.headers, key);
        const text = Buffer.from(String(counts.get(key)));
        socket.write(Buffer.concat([Buffer.from([0x81, text.length]), text]));
      }).catch((error) => { console.log(error.message); socket.destroy(); });
    }
  });
});

server.listen(Number(PORT), HOST);
