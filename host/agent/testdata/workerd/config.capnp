using Workerd = import "/workerd/workerd.capnp";

# A Durable Object class behind an agent. Addresses come from the command line:
#   workerd serve config.capnp --socket-addr http=… --external-addr storage=…
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .cart),
    (name = "storage", external = (http = ())),
  ],
  sockets = [(name = "http", http = (), service = "main")],
);

const cart :Workerd.Worker = (
  modules = [(name = "cart.mjs", esModule = embed "cart.mjs")],
  compatibilityDate = "2026-10-01",
  durableObjectNamespaces = [(className = "Cart", uniqueKey = "cart")],
  durableObjectStorage = (inMemory = void),
  bindings = [
    (name = "CART", durableObjectNamespace = "Cart"),
    (name = "STORAGE", service = "storage"),
    (name = "VERSION", fromEnvironment = "VERSION"),
  ],
);
