// A Durable Object class whose single instance the agent guards: workerd keeps
// one instance in this process, skewgate keeps one among all processes.

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    if (url.pathname === "/healthz") return new Response("ok");
    const object = request.headers.get("Skewgate-Object");
    return env.CART.get(env.CART.idFromName(object)).fetch(request);
  },
};

export class Cart {
  constructor(state, env) {
    this.env = env;
  }

  async storage(method, key, event, body) {
    const answer = await this.env.STORAGE.fetch(`http://storage/v1/storage/${key}`, {
      method, body, headers: { "Skewgate-Event": event },
    });
    const text = await answer.text();
    if (answer.status === 404) return undefined;
    if (!answer.ok) throw new Error(`storage says ${answer.status}: ${text}`);
    return text;
  }

  async add(event) {
    await this.storage("PUT", "n", event, String(this.n + 1));
    return ++this.n;
  }

  async fetch(request) {
    const event = request.headers.get("Skewgate-Event");
    // The instance may be of an earlier activation: what it remembers is void. It may also be a new one in
    // the same activation: workerd lets go of those that are idle.
    if (request.headers.get("Skewgate-Activation") === "new" || this.n === undefined) this.n = Number((await this.storage("GET", "n", event)) ?? 0);
    if (request.headers.get("Upgrade") === "websocket") return this.watch(event);
    if (new URL(request.url).pathname.endsWith("/add")) await this.add(event);
    return new Response(String(this.n), { headers: { "Served-By": `workerd ${this.env.VERSION}` } });
  }

  watch(event) {
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    server.addEventListener("message", async () => {
      try {
        server.send(`${this.env.VERSION}:${await this.add(event)}`);
      } catch (error) {
        server.close(1011, String(error).slice(0, 100));
      }
    });
    return new Response(null, { status: 101, webSocket: client });
  }
}
