// The pool or swarm as this page knows it: containers and tasks alike. The feed writes, everything else reads and is told.

import { Hues } from "./hues.js";
import { imageName, isReached } from "./words.js";

const EVENTS = 500;

/** To which service a container belongs: as Compose or a stack says, or else its image. */
function serviceOf(container) {
  const labels = container.labels ?? {};
  const service = labels["com.docker.compose.service"];
  if (service !== undefined) {
    const project = labels["com.docker.compose.project"];
    return project === undefined ? service : `${project}/${service}`;
  }
  return labels["com.docker.swarm.service.name"] ?? imageName(container.image);
}

const pairs = (labels) => Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);

function prepare(container) {
  container.labels ??= {};
  container.ports ??= [];
  container.service ??= serviceOf(container);
  container.pairs = pairs(container.labels).map((pair) => pair.toLowerCase());
  container.text = [container.name, container.id, container.image, container.service, ...container.ports]
    .join(" ").toLowerCase();
  return container;
}

// web-2 before web-10.
const collator = new Intl.Collator("en", { numeric: true });
export const byName = (a, b) => collator.compare(a.name, b.name) || (a.id < b.id ? -1 : 1);

/** Adds to what is counted by a key. */
function count(counts, key, step) {
  const now = (counts.get(key) ?? 0) + step;
  if (now === 0) counts.delete(key);
  else counts.set(key, now);
}

/** Containers of one service, counted as they come and go: nothing has to be counted over all of them. */
class Group {
  total = 0;
  running = 0;
  /** How many are on each node. */
  nodes = new Map();

  add({ node, state, health }, step) {
    this.total += step;
    if (state === "running" && health !== "unhealthy") this.running += step;
    count(this.nodes, node, step);
  }
}

class World {
  pool = null;
  /** What actions have to carry; null where there are none. */
  key = null;
  /** A swarm's own, by id. */
  services = new Map();
  nodes = new Map();
  containers = new Map();
  /** Ids by the key of their node. */
  on = new Map();
  /** How many run, by the key of their node. */
  running = new Map();
  /** Tasks, and containers that are none, by the names of their services. */
  tasks = new Map();
  others = new Map();
  #hues;
  #isWhole = false;

  #count(container, step) {
    const groups = container.task === undefined ? this.others : this.tasks;
    let group = groups.get(container.service);
    if (group === undefined) groups.set(container.service, (group = new Group()));
    group.add(container, step);
    if (group.total === 0) groups.delete(container.service);
    if (container.state === "running") count(this.running, container.node, step);
  }

  constructor(hues) { this.#hues = hues; }

  /** The names of all services. */
  names() {
    const own = [...this.services.values()].map((service) => service.name);
    return new Set([...own, ...this.tasks.keys(), ...this.others.keys()]);
  }

  hue(name, names = () => this.names()) { return this.#hues.of(name, names); }

  /** Gives everything its hue, now that it is whole: in the order of their names, whatever came first. */
  paint() {
    const names = this.names();
    for (const name of [...names].sort()) this.hue(name, () => names);
    for (const container of this.containers.values()) container.hue = this.hue(container.service);
    this.#isWhole = true;
    this.#hues.save(() => names);
  }

  service(service) {
    this.services.set(service.id, service);
  }

  node(node) {
    node.pairs = pairs(node.labels).map((pair) => pair.toLowerCase());
    this.nodes.set(node.key, node);
  }

  container(container) {
    this.drop(container.id);
    this.containers.set(container.id, prepare(container));
    this.#count(container, 1);
    if (this.#isWhole) container.hue = this.hue(container.service);
    let here = this.on.get(container.node);
    if (here === undefined) this.on.set(container.node, (here = new Set()));
    here.add(container.id);
  }

  drop(id) {
    const old = this.containers.get(id);
    if (old === undefined) return undefined;
    this.containers.delete(id);
    this.#count(old, -1);
    this.on.get(old.node)?.delete(id);
    return old.node;
  }
}

export class Model {
  #hues = new Hues();
  #world = new World(this.#hues);
  /** What is being received and not whole yet. */
  #coming = null;
  #sorted = new Map();
  #nodes = null;
  #listeners = [];
  events = [];
  skipped = 0;
  /** Counts beginnings and changes: whoever made something of the model sees whether it is old. */
  version = 0;

  get pool() { return this.#world.pool; }
  get nodes() { return this.#world.nodes; }
  get containers() { return this.#world.containers; }
  get key() { return this.#world.key; }
  get isSwarm() { return this.#world.pool?.kind === "swarm"; }

  /** A swarm's service by its id. */
  service(id) { return this.#world.services.get(id); }

  /** Calls back with `{nodes, containers, events, all}` after each change. */
  listen(listener) { this.#listeners.push(listener); }

  #tell(change) {
    this.version += 1;
    for (const listener of this.#listeners) listener(change);
  }

  begin({ pool, nodes, services, key }) {
    this.#coming = new World(this.#hues);
    this.#coming.pool = pool;
    this.#coming.key = key;
    for (const service of services) this.#coming.service(service);
    for (const node of nodes) this.#coming.node(node);
  }

  part(containers) {
    for (const container of containers) this.#coming?.container(container);
  }

  ready({ events }) {
    if (this.#coming === null) return;
    this.#world = this.#coming;
    this.#world.paint();
    this.#coming = null;
    this.#sorted.clear();
    this.#nodes = null;
    this.events = events.slice(-EVENTS);
    this.#tell({ all: true, events });
  }

  change({ pool, nodes = [], goneNodes = [], services = [], goneServices = [], containers = [], gone = [] }) {
    const world = this.#world;
    const touched = new Set();
    if (pool !== undefined) world.pool = pool;
    for (const id of goneServices) world.services.delete(id);
    for (const service of services) world.service(service);
    for (const id of gone) touched.add(world.drop(id));
    for (const key of goneNodes) {
      world.nodes.delete(key);
      world.on.delete(key);
      this.#nodes = null;
    }
    for (const node of nodes) {
      if (world.nodes.get(node.key)?.name !== node.name) this.#nodes = null;
      world.node(node);
      touched.add(node.key);
    }
    for (const container of containers) {
      touched.add(world.containers.get(container.id)?.node);
      world.container(container);
      touched.add(container.node);
    }
    for (const key of touched) this.#sorted.delete(key);
    this.#hues.save(() => world.names());
    const changed = services.length > 0 || goneServices.length > 0;
    this.#tell({ all: goneNodes.length > 0, touched, pool: pool !== undefined, services: changed });
  }

  happened({ events, skipped }) {
    this.events.push(...events);
    if (this.events.length > EVENTS) this.events.splice(0, this.events.length - EVENTS);
    this.skipped += skipped;
    this.#tell({ events, touched: new Set() });
  }

  /** The keys of all nodes, by name. */
  sortedNodes() {
    this.#nodes ??= [...this.#world.nodes.values()].sort(byName).map((node) => node.key);
    return this.#nodes;
  }

  /** How many run on nodes that are reached. */
  running() {
    let sum = 0;
    for (const [key, running] of this.#world.running) if (isReached(this.#world.nodes.get(key))) sum += running;
    return sum;
  }

  /** The containers of a node, by name. */
  on(key) {
    let list = this.#sorted.get(key);
    if (list === undefined) {
      const here = this.#world.on.get(key) ?? [];
      list = [...here].map((id) => this.#world.containers.get(id)).sort(byName);
      this.#sorted.set(key, list);
    }
    return list;
  }

  /** The events seen here of one object. */
  history(id, name) {
    return this.events.filter((event) => (event.id !== "" && event.id !== undefined
      ? event.id === id : event.name === name));
  }

  /** The services: how many containers each has or should have, and how many of them run. */
  services() {
    const { services, tasks, others } = this.#world;
    const hue = (name) => this.#world.hue(name);
    const found = new Map();
    for (const { id, name, desired, running, update, lacks } of services.values()) {
      found.set(name, { id, name, hue: hue(name), total: desired, running, nodes: tasks.get(name)?.nodes.size ?? 0, update, lacks });
    }
    for (const [name, { total, running, nodes }] of others) {
      if (!found.has(name)) found.set(name, { name, hue: hue(name), total, running, nodes: nodes.size });
    }
    return [...found.values()].sort((a, b) => collator.compare(a.name, b.name));
  }
}
