// Runs a test binary built for js/wasm so that two runs are the same run: there
// is one thread, the clock counts its own readings, and random bytes (ids, the
// order of maps and of goroutines that are ready at once) come from a constant.
//
//   node --stack-size=8192 run.js $(go env GOROOT) sim.wasm -test.run TestSeed -sim.seed=7
"use strict";
const fs = require("fs"), path = require("path"), util = require("util");
const [goroot, wasm, ...args] = process.argv.slice(2);
globalThis.require = require;
globalThis.fs = fs;
globalThis.path = path;
globalThis.TextEncoder = util.TextEncoder;
globalThis.TextDecoder = util.TextDecoder;
require(path.join(goroot, "lib", "wasm", "wasm_exec.js"));

const go = new Go();
go.argv = ["sim.test", ...args];
go.env = { TMPDIR: "/tmp" };
go.exit = (code) => process.exit(code);

const memory = () => new DataView(go._inst.exports.mem.buffer);
const runtime = go.importObject.gojs;

let clock = 0n; // nanoseconds
runtime["runtime.nanotime1"] = (sp) => {
  clock += 1000n;
  memory().setBigInt64((sp >>> 0) + 8, clock, true);
};
runtime["runtime.walltime"] = (sp) => {
  memory().setBigInt64((sp >>> 0) + 8, 1700000000n, true);
  memory().setInt32((sp >>> 0) + 16, 0, true);
};

let state = 0x9e3779b9; // xorshift32
runtime["runtime.getRandomData"] = (sp) => {
  const m = memory();
  const from = Number(m.getBigInt64((sp >>> 0) + 8, true)), length = Number(m.getBigInt64((sp >>> 0) + 16, true));
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    m.setUint8(from + i, state & 255);
  }
};

WebAssembly.instantiate(fs.readFileSync(wasm), go.importObject).then((built) => {
  process.on("exit", (code) => {
    if (code === 0 && !go.exited) { // everybody waits: let Go say who
      go._pendingEvent = { id: 0 };
      go._resume();
    }
  });
  return go.run(built.instance);
}).catch((err) => {
  console.error(err);
  process.exit(1);
});
