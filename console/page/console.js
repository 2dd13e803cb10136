"use strict";

// The page asks the API every two seconds and draws what it says. Nothing is
// put into the document as markup: all text goes through text nodes.

const every = 2000;
const colours = ["#5b8def", "#e58a2b", "#2aa876", "#b06fd8", "#d9546c", "#3fb3c4", "#9a9f3a", "#8a6d5a"];
const history = []; // of {t, versions: {name: objects}}
const kept = 180;

const $ = (id) => document.getElementById(id);

// el makes an element: attributes, then children (strings or nodes).
function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) if (v !== undefined && v !== "") e.setAttribute(k, v);
  e.append(...children.flat().filter((c) => c !== null && c !== undefined));
  return e;
}

function svg(name, attributes = {}, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children.flat());
  return e;
}

class Unauthorized extends Error {}

async function ask(path) {
  const headers = {};
  const token = sessionStorage.getItem("skewgate-token");
  if (token) headers.Authorization = "Bearer " + token;
  const answer = await fetch("v1" + path, { headers, cache: "no-store" });
  if (answer.status === 401) throw new Unauthorized();
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail || answer.statusText);
  return body;
}

const number = (n) => Number(n).toLocaleString("en-US");
const fixed = (n, d) => Number(n).toLocaleString("en-US", { minimumFractionDigits: d, maximumFractionDigits: d });
const percent = (n) => (n >= 10 || n === 0 ? fixed(n, 0) : String(+n.toPrecision(2))) + " %";

// seconds reads a Go duration, 1h2m3.5s.
function seconds(d) {
  const unit = { h: 3600, m: 60, s: 1, ms: 1e-3, "µs": 1e-6, us: 1e-6, ns: 1e-9 };
  let total = 0;
  for (const [, n, u] of String(d || "0s").matchAll(/([\d.]+)(h|ms|m|s|µs|us|ns)/g)) total += n * unit[u];
  return total;
}

function age(s) {
  if (s < 10) return fixed(Math.max(s, 0), 1) + "s";
  if (s < 120) return Math.floor(s) + "s";
  if (s < 7200) return Math.floor(s / 60) + "m";
  if (s < 172800) return Math.floor(s / 3600) + "h";
  return Math.floor(s / 86400) + "d";
}

function latency(d) {
  const s = seconds(d);
  if (s === 0) return "–";
  return s < 1 ? fixed(s * 1000, s < 0.01 ? 1 : 0) + " ms" : fixed(s, 2) + " s";
}

function table(target, columns, rows, empty) {
  if (rows.length === 0) {
    target.replaceChildren(el("tbody", {}, el("tr", {}, el("td", { class: "note" }, empty))));
    return;
  }
  const cls = (c) => c.cls || "";
  target.replaceChildren(
    el("thead", {}, el("tr", {}, columns.map((c) => el("th", { class: cls(c) === "n" ? "n" : "", scope: "col" }, c.name)))),
    el("tbody", {}, rows.map((r) => el("tr", {}, columns.map((c) => el("td", { class: cls(c) }, c.of(r)))))),
  );
}

const tag = (text, kind) => el("span", { class: "tag " + (kind || "") }, text);
const verdict = { ok: "good", FAIL: "bad", partial: "warn", unknown: "warn", opaque: "warn" };

// colourOf gives each version the same colour everywhere, in the order of their names.
const palette = new Map();
function colourOf(version) {
  if (!palette.has(version)) palette.set(version, colours[palette.size % colours.length]);
  return palette.get(version);
}

function drawSkew(s) {
  const now = new Date(s.evidence.at);
  const ago = (t) => { const d = (now - new Date(t)) / 1000; return d < 3 ? "now" : age(d) + " ago"; };
  table($("skew"), [
    { name: "Caller", cls: "id", of: (l) => l.caller },
    { name: "Object", cls: "id", of: (l) => l.class + "@" + (l.version || "–") },
    { name: "Calls/s", cls: "n", of: (l) => fixed(l.callsPerSecond, 1) },
    { name: "Objects", cls: "n", of: (l) => (l.objects ? number(l.objects) : "–") },
    { name: "Errors", cls: "n", of: (l) => el("span", { class: l.errors ? "bad" : "" }, fixed((100 * l.errors) / Math.max(l.calls, 1), 2) + " %") },
    { name: "p50", cls: "n", of: (l) => latency(l.p50) },
    { name: "p99", cls: "n", of: (l) => latency(l.p99) },
    { name: "Compatible", of: (l) => tag(l.compat, verdict[l.compat]) },
    { name: "Last", of: (l) => ago(l.last) },
    { name: "Why", of: (l) => (l.incompatible || []).slice(0, 2).map((x) => x.rule + " " + x.method).join(", ") },
  ], s.lines, "No calls in this time.");
  drawGrids(s);
  const e = s.evidence;
  const parts = [s.versionsLive + " versions live"];
  if (s.stragglers) parts.push(s.stragglers.length + " behind (" + s.stragglers.join(", ") + ")");
  parts.push("view age " + age(seconds(e.age)), e.gatewaysSeen + "/" + e.gatewaysExpected + " gateways");
  if (e.gatewaysMissing) parts.push("silent: " + e.gatewaysMissing.join(", "));
  const covers = (now - new Date(e.since)) / 1000;
  if (new Date(e.since) - new Date(e.from) > 60000) parts.push("tallies go back " + age(covers));
  if (e.folded) parts.push(number(e.folded) + " calls folded into “other”");
  $("evidence").textContent = parts.join(" · ");
  $("evidence").className = "note" + (e.gatewaysSeen === e.gatewaysExpected && e.gatewaysSeen > 0 ? "" : " bad");
}

// drawGrids shows each class as callers × object versions, coloured by what the matrix says.
function drawGrids(s) {
  const classes = [...new Set(s.lines.map((l) => l.class))].sort();
  $("grids").replaceChildren(...classes.map((c) => {
    const lines = s.lines.filter((l) => l.class === c && l.version);
    const order = (a, b) => a.localeCompare(b, "en", { numeric: true });
    const callers = [...new Set(lines.map((l) => l.caller))].sort(order);
    const versions = [...new Set(lines.map((l) => l.version))].sort(order);
    if (callers.length === 0) return el("div");
    return el("div", { class: "grid" }, el("table", {},
      el("caption", {}, c + ": callers × object versions, calls per second"),
      el("thead", {}, el("tr", {}, el("th"), versions.map((v) => el("th", { scope: "col" }, v)))),
      el("tbody", {}, callers.map((w) => el("tr", {}, el("th", { scope: "row" }, w), versions.map((v) => {
        const l = lines.find((x) => x.caller === w && x.version === v);
        if (!l) return el("td", { class: "cell none" }, "·");
        return el("td", { class: "cell " + l.compat }, el("b", {}, fixed(l.callsPerSecond, 1)), el("span", {}, l.compat));
      })))),
    ));
  }));
}

function drawRollouts(list) {
  if (list.items.length === 0) {
    $("rollouts").replaceChildren(el("p", { class: "empty" }, "No deployment is recorded: objects run on any live version. ", el("code", {}, "skewgate rollout start APP --to VERSION")));
    return;
  }
  $("rollouts").replaceChildren(...list.items.map(drawRollout));
}

const phaseKind = { progressing: "warn", paused: "warn", completed: "good", aborted: "bad", frozen: "bad" };

function drawRollout(r) {
  const ro = r.record.rollout;
  if (!ro) return el("div", { class: "card" }, el("h3", {}, r.app));
  const m = r.moves;
  const fact = (name, value) => el("span", {}, name + " ", el("b", {}, value));
  const facts = [
    fact("step", ro.step + 1 + " of " + ro.spec.steps.length), fact("assigned", percent(r.assignedPercent)), fact("actual", percent(r.actualPercent)),
    fact("move", m.mode), fact("moved", number(m.done)), fact("in flight", number(m.inFlight) + (m.max ? " of " + m.max : "")), fact("failed", number(m.failed)),
  ];
  if (m.remaining >= 0) facts.push(fact("to go", number(m.remaining)));
  if (m.rate) facts.push(fact("budget", m.rate + "/s"));
  if (seconds(r.bake.for) > 0 && ro.phase === "progressing") facts.push(fact("bake", age(seconds(r.bake.done)) + " of " + age(seconds(r.bake.for))));
  const phase = ro.phase === "progressing" ? r.activity : ro.phase;
  return el("div", { class: "card" },
    el("div", { class: "top" }, el("h3", {}, r.app + " → " + ro.spec.to), tag(phase, phaseKind[ro.phase]),
      ro.phase === "completed" && !r.converged ? tag("not converged", "warn") : null,
      el("span", { class: "right" }, age(seconds(r.elapsed)))),
    drawSteps(r, ro),
    el("div", { class: "facts" }, facts),
    r.bake.analysis ? el("div", { class: r.bake.analysis.verdict === "failed" ? "bad" : "note" }, "bake: " + r.bake.analysis.verdict + ", " + r.bake.analysis.reason) : null,
    ro.reason && ro.phase !== "completed" ? el("div", { class: "reason " + (phaseKind[ro.phase] || "") }, ro.reason) : null,
    r.noReturn ? el("div", { class: "reason warn" }, "point of no return " + r.noReturn) : null,
    r.next ? el("div", { class: "next" }, r.next.map((n) => el("code", {}, n))) : null,
  );
}

// drawSteps: the track is the share; ticks are the steps, the bar what objects really run, the mark what is assigned.
function drawSteps(r, ro) {
  const g = svg("svg", { viewBox: "0 0 1000 30", preserveAspectRatio: "none", role: "img", "aria-label": percent(r.assignedPercent) + " assigned" });
  const bar = (w, fill, opacity) => svg("rect", { x: 0, y: 9, width: Math.max(w, 0) * 10, height: 12, rx: 3, fill, opacity });
  g.append(bar(100, "var(--track)", 1), bar(r.assignedPercent, colourOf(ro.spec.to), 0.35), bar(r.actualPercent, colourOf(ro.spec.to), 1));
  ro.spec.steps.forEach((p, i) => g.append(svg("rect", { x: Math.min(p * 10, 997), y: 4, width: 3, height: 22, fill: i <= ro.step ? colourOf(ro.spec.to) : "var(--soft)" })));
  return el("div", { class: "steps" }, g);
}

function drawVersions(list) {
  table($("versions"), [
    { name: "App", of: (v) => v.app },
    { name: "Version", cls: "id", of: (v) => v.version },
    { name: "State", of: (v) => tag(v.state, { active: "good", ramping: "warn", draining: "warn" }[v.state]) },
    { name: "Weight", cls: "n", of: (v) => (v.weight ? percent(v.weight) : "–") },
    { name: "Hosts", cls: "n", of: (v) => number(v.hosts) },
    { name: "Objects", cls: "n", of: (v) => number(v.objects) },
    { name: "Called by", cls: "id", of: (v) => (v.callers || []).join(" ") || "–" },
    { name: "Schema", of: (v) => (v.schema ? "yes" : "–") },
  ], list.items, "Nothing is live yet.");
}

function drawHosts(list) {
  const most = Math.max(1, ...list.items.map((h) => h.objects));
  table($("hosts"), [
    { name: "Name", cls: "id", of: (h) => h.name },
    { name: "Address", cls: "id", of: (h) => h.addr },
    { name: "Version", cls: "id", of: (h) => h.app + "@" + h.version },
    { name: "State", of: (h) => tag(h.state, { ready: "good", dead: "bad", "not-ready": "bad" }[h.state] || "warn") },
    { name: "Objects", cls: "n", of: (h) => number(h.objects) },
    { name: "", cls: "share", of: (h) => svg("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { width: 100, height: 8, rx: 2, fill: "var(--track)" }), svg("rect", { width: (100 * h.objects) / most, height: 8, rx: 2, fill: colourOf(h.version) })) },
    { name: "Running", cls: "n", of: (h) => number(h.inFlight) },
    { name: "Heartbeat", cls: "n", of: (h) => el("span", { class: seconds(h.heartbeat) > seconds(h.lease) / 2 ? "bad" : "" }, age(seconds(h.heartbeat))) },
    { name: "Lease", cls: "n", of: (h) => h.lease },
  ], list.items, "No host is registered.");
}

function drawDoctor(d) {
  const wrong = d.checks.filter((c) => !c.ok);
  const good = d.checks.length - wrong.length;
  $("doctor").replaceChildren(
    ...wrong.map((c) => el("li", {}, el("span", { class: c.fatal ? "bad" : "warn" }, c.fatal ? "✗" : "!"), el("span", {}, c.name + (c.detail ? ": " + c.detail : "")), c.fix ? el("small", {}, "→ " + c.fix) : null)),
    el("li", {}, el("span", { class: "good" }, "✓"), el("span", {}, good + " of " + d.checks.length + " checks are good")),
  );
}

function remember(list) {
  const versions = {};
  for (const v of list.items) if (v.hosts || v.objects) versions[v.app + "@" + v.version] = (versions[v.app + "@" + v.version] || 0) + v.objects;
  history.push({ t: Date.now(), versions });
  if (history.length > kept) history.shift();
  drawChart();
}

// drawChart stacks the objects of each version over time.
function drawChart() {
  const names = [...new Set(history.flatMap((h) => Object.keys(h.versions)))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const top = Math.max(1, ...history.map((h) => Object.values(h.versions).reduce((a, b) => a + b, 0)));
  if (names.length === 0 || history.length < 2) {
    $("chart").replaceChildren(el("p", { class: "empty" }, "Collecting…"));
    return;
  }
  const begin = history[0].t, span = Math.max(history[history.length - 1].t - begin, 1);
  const x = (h) => (1000 * (h.t - begin)) / span, y = (n) => 150 - (140 * n) / top;
  const below = history.map(() => 0);
  const g = svg("svg", { viewBox: "0 0 1000 150", preserveAspectRatio: "none", role: "img", "aria-label": "active objects by version" });
  for (const name of names) {
    const low = [...below];
    history.forEach((h, i) => { below[i] += h.versions[name] || 0; });
    const up = history.map((h, i) => x(h).toFixed(1) + "," + y(below[i]).toFixed(1));
    const down = history.map((h, i) => x(h).toFixed(1) + "," + y(low[i]).toFixed(1)).reverse();
    g.append(svg("polygon", { points: [...up, ...down].join(" "), fill: colourOf(name.split("@")[1]), opacity: 0.75 }));
  }
  const last = history[history.length - 1].versions;
  $("chart").replaceChildren(g, el("div", { class: "legend" },
    names.map((n) => el("span", {}, svg("svg", { viewBox: "0 0 8 8" }, svg("rect", { width: 8, height: 8, rx: 2, fill: colourOf(n.split("@")[1]) })), n + "  " + number(last[n] || 0))),
    el("span", {}, "top of the scale: " + number(top))));
}

async function find(key) {
  const at = key.indexOf("/");
  const box = $("found");
  if (at < 1) { box.hidden = true; return; }
  let id = key.slice(at + 1);
  try { id = decodeURIComponent(id); } catch { /* as typed */ }
  id = encodeURIComponent(id).replace(/^\.{1,2}$/, (s) => s.replaceAll(".", "%2E"));
  const path = "/objects/" + encodeURIComponent(key.slice(0, at)) + "/" + id;
  try {
    const [o, moves] = await Promise.all([ask(path), ask(path + "/history")]);
    const fact = (name, value) => (value ? el("span", {}, name + " ", el("b", {}, value)) : null);
    box.replaceChildren(
      el("h3", {}, o.object, tag(o.state, { owned: "good", orphaned: "bad" }[o.state])),
      el("div", { class: "facts" }, fact("host", o.host && o.host + " (" + o.addr + ")"), fact("version", o.version), fact("assigned", o.assigned), fact("token", String(o.token || "")),
        fact("storage fence", o.fence), o.active ? fact("activity", o.active.state + ", " + o.active.inFlight + " running, " + o.active.sockets + " sockets") : null),
      el("p", { class: "note" }, o.why),
      el("ul", { class: "checks" }, moves.items.map((m) => el("li", {}, el("span", {}, "›"), el("span", {}, new Date(m.at).toLocaleString() + "  " + m.reason + "  " + (m.fromVersion || "") + " → " + (m.toVersion || "") + "  " + (m.fromHost || "") + " → " + (m.toHost || ""))))),
    );
  } catch (e) {
    box.replaceChildren(el("p", { class: "bad" }, e.message));
  }
  box.hidden = false;
}

// part draws one part; one that fails does not stop the others.
async function part(path, draw) {
  const answer = await ask(path);
  draw(answer);
  return answer;
}

let looking = false;
async function look() {
  if (looking) return;
  looking = true;
  const pulse = $("pulse");
  const parts = await Promise.allSettled([
    part("/skew?since=" + $("since").value, drawSkew), part("/rollouts", drawRollouts), part("/hosts", drawHosts),
    part("/versions", (v) => { for (const x of v.items) colourOf(x.version); drawVersions(v); remember(v); }), part("/doctor", drawDoctor),
  ]);
  looking = false;
  const failed = parts.find((p) => p.status === "rejected");
  if (failed && failed.reason instanceof Unauthorized) { if (!$("token").open) $("token").showModal(); return; }
  if (failed) {
    pulse.textContent = "not up to date: " + failed.reason.message;
    pulse.className = "pulse lost";
    return;
  }
  const d = parts[4].value;
  pulse.textContent = (d.errors ? d.errors + " error" + (d.errors > 1 ? "s" : "") : "healthy") + (d.warnings ? ", " + d.warnings + " warning" + (d.warnings > 1 ? "s" : "") : "") + " · " + new Date().toLocaleTimeString();
  pulse.className = "pulse" + (d.errors ? " lost" : "");
}

$("find").addEventListener("submit", (e) => { e.preventDefault(); find($("object").value.trim()); });
$("since").addEventListener("change", look);
$("token").addEventListener("close", () => { sessionStorage.setItem("skewgate-token", $("token-value").value); look(); });
setInterval(() => { if (!document.hidden) look(); }, every);
look();
