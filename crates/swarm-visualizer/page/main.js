// Puts the page together: feed, board, panel, search, keys, colours.

import { Acts } from "./act.js";
import { Board } from "./board.js";
import { Details } from "./details.js";
import { say } from "./element.js";
import { follow } from "./feed.js";
import { filter } from "./filter.js";
import { Model } from "./model.js";
import { Objects } from "./objects.js";
import { Events, Panel, Services } from "./panel.js";
import { Plan } from "./plan.js";
import { isWell } from "./words.js";

const byId = (id) => document.getElementById(id);
const model = new Model();
const search = byId("search");
const panel = new Panel(byId("tabs"), byId("pane"));
const acts = new Acts(model, byId("ask"));
const objects = new Objects(model, (selected) => choose(selected, true));
const details = new Details(model, acts, objects);

const board = new Board(model, byId("board"), {
  filter: filter(""),
  onSelect: (selected, open) => choose(selected, open),
});

/** Chooses an object; `open` brings its details up. */
function choose(selected, open) {
  board.select(selected);
  details.show(selected);
  if (open) {
    setPanel(true);
    panel.open("details");
  }
}

function show(selected) {
  board.show(selected);
  choose(selected, true);
}

/** What an event is about. */
function showEvent(event) {
  if (event.type === "container" && model.containers.has(event.id)) show({ container: event.id });
  else if (event.type === "service" && model.service(event.id) !== undefined) show({ service: event.id });
  else if (objects.find(event.type, event.id) !== undefined) choose({ object: event.type, id: event.id }, true);
  else {
    const node = [...model.nodes.values()].find((one) => one.name === event.node);
    if (node !== undefined) show({ node: node.key });
  }
}

panel.add("services", new Services(model, (text) => setFilter(text), (id) => show({ service: id })));
panel.add("objects", objects);
panel.add("events", new Events(model, showEvent));
panel.add("details", details);
panel.add("plan", new Plan(model, acts, { onMoves: (moves) => { board.moves = moves; }, onShow: show }));
panel.open("services");

// The filter is in the address, so that a view can be passed on.
function setFilter(text) {
  search.value = text;
  board.filter = filter(text);
  objects.filter = filter(text);
  history.replaceState(null, "", text === "" ? "#" : `#${encodeURIComponent(text)}`);
}

search.addEventListener("input", () => setFilter(search.value));
addEventListener("hashchange", () => readFilter());
function readFilter() {
  try {
    setFilter(decodeURIComponent(location.hash.slice(1)));
  } catch {
    setFilter(""); // An address somebody cut short.
  }
}
readFilter();

function setPanel(open) {
  document.body.classList.toggle("alone", !open);
  byId("side").setAttribute("aria-expanded", open);
}
byId("side").addEventListener("click", () => setPanel(document.body.classList.contains("alone")));
setPanel(!matchMedia("(max-width: 50rem)").matches);

/** What this browser remembers, where it may. */
function remember(name, value) {
  try {
    localStorage.setItem(`swarm-${name}`, value);
  } catch {
    // Then it is forgotten.
  }
}
function remembered(name) {
  try {
    return localStorage.getItem(`swarm-${name}`);
  } catch {
    return null;
  }
}

const THEMES = ["auto", "light", "dark"];
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  say(byId("theme"), theme);
  remember("theme", theme);
}
setTheme(THEMES.includes(remembered("theme")) ? remembered("theme") : "auto");
byId("theme").addEventListener("click", () => {
  const now = document.documentElement.dataset.theme;
  setTheme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
});

function setDense(dense) {
  board.dense = dense;
  byId("dense").setAttribute("aria-pressed", dense);
  remember("dense", dense);
}
setDense(remembered("dense") === "true");
byId("dense").addEventListener("click", () => setDense(byId("dense").getAttribute("aria-pressed") !== "true"));

document.addEventListener("keydown", (event) => {
  // What asks whether to do something has keys of its own.
  if (event.target instanceof Element && event.target.closest("dialog") !== null) return;
  const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
  if (event.key === "/" && !typing) {
    event.preventDefault();
    search.focus();
    search.select();
  } else if (event.key === "Escape") {
    if (typing && search.value !== "") setFilter("");
    else if (panel.current === "details") panel.open("services");
    byId("board").focus();
  } else if (event.key === "Enter" && event.target === search) {
    byId("board").focus();
  }
});

let summing = 0;
function sum() {
  summing = 0;
  const { pool, nodes, containers } = model;
  if (pool === null) return;
  let well = 0;
  let real = 0;
  for (const node of nodes.values()) {
    if (node.key === "~") continue;
    real += 1;
    if (isWell(node)) well += 1;
  }
  const running = model.running();
  if (model.isSwarm) {
    const lead = pool.primary === undefined || pool.role === "leader" ? "" : `, leader ${pool.primary}`;
    say(byId("sum"), `${well}/${real} nodes ready · ${running}/${containers.size} tasks and containers running · this node: ${pool.role}${lead}`);
    byId("sum").title = `swarm ${pool.version}`;
  } else {
    const role = pool.primary === undefined ? "" : ` · ${pool.role}, primary ${pool.primary}`;
    say(byId("sum"), `${well}/${real} nodes healthy · ${running}/${containers.size} containers running · ${pool.strategy}${role}`);
    byId("sum").title = `swarm ${pool.version}\nstrategy ${pool.strategy}\nfilters ${pool.filters}\ndiscovery ${pool.discovery}\nstore ${pool.store}`;
  }
  byId("note").hidden = pool.note === undefined;
  say(byId("note"), pool.note ?? "");
  const waiting = pool.waiting.length === 0 ? "" : `waiting: ${pool.waiting[0].name}: ${pool.waiting[0].reason}${
    pool.waiting.length > 1 ? ` (and ${pool.waiting.length - 1} more)` : ""}`;
  const warning = [pool.warning, waiting].filter(Boolean).join(" · ");
  byId("warning").hidden = warning === "";
  say(byId("warning"), warning);
}
model.listen(() => {
  if (summing === 0) summing = setTimeout(sum, 100);
});

follow(model, (state) => {
  say(byId("link"), state);
  byId("link").className = state;
});
