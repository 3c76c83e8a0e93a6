// One object: what is known of it, its JSON, its output as it comes, and what happened to it.

import { element, say } from "./element.js";
import { eventRow } from "./panel.js";
import { ago, bytes, clock, cpus, date, moveWords, nodeWords, stateOf } from "./words.js";

/** Lines of output that are kept. */
const LINES = 2000;
/** Between two questions for the tasks of a service, in milliseconds. */
const PAUSE = 500;

function facts(pairs) {
  const rows = pairs.filter(([, value]) => value !== undefined && value !== "")
    .flatMap(([name, value]) => [element("dt", { text: name }), element("dd", { text: value })]);
  return element("dl", {}, ...rows);
}

const labelsOf = (labels) => Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`).join("\n");
const same = (a, b) => a !== null && a.container === b.container && a.node === b.node && a.service === b.service
  && a.object === b.object && a.id === b.id;

export class Details {
  title = "Details";
  #model;
  #acts;
  #objects;
  #root = element("div", { class: "details" });
  #shown = null;
  #part = "facts";
  #source = null;
  #visible = false;
  #body = element("div", { class: "body" });
  #heading = element("h2");
  #parts = element("div", { class: "parts", role: "tablist" });
  #actions = element("div");
  /** Whose tasks are asked for, and whether something has changed since. */
  #asking = null;
  #again = false;

  constructor(model, acts, objects) {
    this.#model = model;
    this.#acts = acts;
    this.#objects = objects;
    objects.listen(() => { if (this.#visible && this.#shown?.object !== undefined) this.#update(); });
    this.#root.append(element("p", { class: "none", text: "Choose a node or a container: click it, or use the arrow keys." }));
    acts.listen(() => this.#update());
    model.listen((change) => {
      if (this.#shown === null || !this.#visible) return;
      const { node, container, service } = this.#shown;
      const key = node ?? this.#model.containers.get(container)?.node;
      // What is gone is on no node that could be named.
      const touches = service !== undefined ? change.services : change.touched?.has(key) || (key === undefined && change.touched?.size > 0);
      if (change.all || touches) this.#update();
      if (change.events !== undefined && this.#part === "history" && this.#slot() === undefined) this.#history();
      else if ((change.all || touches) && this.#part === "history") this.#history();
    });
  }

  get root() { return this.#root; }

  set visible(visible) {
    this.#visible = visible;
    if (visible && this.#shown !== null) this.#open(this.#part);
    if (!visible) this.#end();
  }

  show(selected) {
    if (same(this.#shown, selected) && this.#visible) return;
    this.#shown = selected;
    if (!(this.#part in this.#names())) this.#part = "facts";
    this.#root.replaceChildren(this.#heading, this.#actions, this.#parts, this.#body);
    if (this.#visible) this.#open(this.#part);
  }

  #names() {
    const all = { facts: "Facts", json: "JSON", logs: "Output", history: "History" };
    if (this.#shown.object !== undefined) return { facts: "Facts", json: "JSON", history: "History" };
    if (this.#shown.node === undefined) return all;
    // Of a place that is none there is nothing to ask.
    return this.#shown.node === "~" ? { facts: "Facts" } : { facts: "Facts", json: "JSON", history: "History" };
  }

  /** Where the object is asked for. */
  #path() {
    const { node: key, container: id, service, object } = this.#shown;
    if (object !== undefined) return `api/${object}s/${encodeURIComponent(this.#shown.id)}`;
    if (service !== undefined) return `api/services/${encodeURIComponent(service)}`;
    if (key !== undefined) return `api/nodes/${encodeURIComponent(this.#model.nodes.get(key)?.id ?? key)}`;
    const kind = this.#model.containers.get(id)?.task === undefined ? "containers" : "tasks";
    return `api/${kind}/${encodeURIComponent(id)}`;
  }

  #open(part) {
    this.#end();
    this.#part = part;
    this.#parts.replaceChildren(...Object.entries(this.#names()).map(([name, text]) => element("button", {
      type: "button", role: "tab", text, "aria-selected": String(name === part), "data-part": name,
      onclick: () => this.#open(name) })));
    this.#body.replaceChildren();
    this.#update();
    if (part === "history") this.#history();
    if (part === "json") this.#json();
    if (part === "logs") this.#logs();
  }

  #end() {
    this.#source?.close();
    this.#source = null;
  }

  #update() {
    if (this.#shown === null) return;
    if (this.#shown.object !== undefined) {
      this.#updateObject(this.#shown);
      return;
    }
    const { node: key, container: id, service: sid } = this.#shown;
    // Only where they differ: a button that is being pressed stays. They say whose they are.
    const acts = this.#acts.of(this.#shown);
    const there = this.#actions.firstChild;
    if (acts === null ? there !== null : !acts.isEqualNode(there)) this.#actions.replaceChildren(...[acts].filter(Boolean));
    const [what, one, of] = sid !== undefined ? ["service", this.#model.service(sid), (it) => this.#ofService(it)]
      : key !== undefined ? ["node", this.#model.nodes.get(key), (it) => this.#ofNode(it)]
        : ["container", this.#model.containers.get(id), (it) => (it.task === undefined ? this.#ofContainer(it) : this.#ofTask(it))];
    say(this.#heading, one?.name ?? (sid ?? key ?? id).slice(0, 12));
    if (this.#part === "facts") this.#body.replaceChildren(one === undefined ? gone(what) : of(one));
  }

  #updateObject({ object: kind, id }) {
    const one = this.#objects.find(kind, id);
    this.#actions.replaceChildren();
    say(this.#heading, one?.name ?? id.slice(0, 12));
    if (this.#part !== "facts") return;
    this.#body.replaceChildren(one === undefined ? gone(kind) : facts([["Kind", kind], ["Says", one.words], ["Subnets", one.subnets.join("\n")],
      ["Created", one.created === undefined ? "" : `${date(one.created)} (${ago(one.created)} ago)`],
      ["Place", one.place], ["Id", one.id === one.name ? "" : one.id], ["Labels", labelsOf(one.labels)]]));
  }

  #ofNode(node) {
    const list = this.#model.on(node.key);
    const running = list.filter((one) => one.state === "running").length;
    return facts([
      ["State", nodeWords(node)], ["Says", node.message], ["Address", node.address], ["Id", node.id],
      ["Engine", node.engineVersion],
      [this.#model.isSwarm ? "Tasks and containers" : "Containers", `${list.length}, ${running} running`],
      ["CPUs reserved", `${cpus(node.reservedNanoCpus)} of ${node.cpus}`],
      ["Memory reserved", `${bytes(node.reservedMemory)} of ${bytes(node.memory)}`], ["Labels", labelsOf(node.labels)],
    ]);
  }

  #ofContainer(one) {
    const node = this.#model.nodes.get(one.node);
    const waiting = this.#model.pool?.waiting.find((other) => other.name === one.name);
    const policy = one.policy ?? (this.#model.pool?.keeps ? "made beside the pool" : "known to the primary only");
    return facts([
      ["State", stateOf(one, node)[1]], ["Node", node?.name], ["Service", one.service], ["Image", one.image],
      ["Ports", one.ports.join("\n")], ["Created", `${date(one.created)} (${ago(one.created)} ago)`],
      ["Started", one.started === undefined ? "" : date(one.started)],
      ["Ended", one.finished === undefined ? "" : date(one.finished)],
      ["Waits", one.waits ?? waiting?.reason],
      ["Placed", one.placed], ["Last move", one.moved === undefined ? "" : `${date(one.moved.at)}: ${moveWords(one.moved)}`],
      ["Reschedule", this.#model.isSwarm ? one.policy ?? "" : policy],
      ["Generation", one.generation === undefined ? "" : String(one.generation)],
      ["Id", one.id], ["Labels", labelsOf(one.labels)],
    ]);
  }

  #ofTask(one) {
    const node = this.#model.nodes.get(one.node);
    const { task } = one;
    return facts([
      ["State", stateOf(one, node)[1]], ["Is to be", task.desired], ["Says", task.message], ["Error", task.error],
      ["Node", one.node === "~" ? "none yet" : node?.name], ["Service", one.service],
      ["Slot", this.#isGlobal(task.service) ? "one on each node" : String(task.slot)], ["Image", one.image], ["Ports", one.ports.join("\n")],
      ["Placed", one.placed], ["Created", `${date(one.created)} (${ago(one.created)} ago)`],
      ["Running since", one.started === undefined ? "" : date(one.started)],
      ["Ended", one.finished === undefined ? "" : date(one.finished)],
      ["Container", task.container], ["Id", one.id], ["Labels", labelsOf(one.labels)],
    ]);
  }

  #isGlobal(service) { return this.#model.service(service)?.mode?.startsWith("global") === true; }

  #ofService(one) {
    return facts([
      ["Runs", `${one.running} of ${one.desired}${one.completed === undefined ? "" : `, ${one.completed} completed`}`],
      ["Lacks", one.lacks], ["Mode", one.mode], ["Image", one.image], ["Ports", (one.ports ?? []).join("\n")],
      ["Update", [one.update, one.updateMessage].filter(Boolean).join(": ")], ["Id", one.id], ["Labels", labelsOf(one.labels)],
    ]);
  }

  /** The service and slot whose tasks are its history; undefined for what has none. */
  #slot() {
    const { container, service } = this.#shown;
    if (service !== undefined) return { service };
    const task = this.#model.containers.get(container)?.task;
    return task === undefined ? undefined : { service: task.service, slot: task.slot, node: this.#model.containers.get(container).node };
  }

  #history() {
    const slot = this.#slot();
    if (slot !== undefined) {
      this.#tasks(slot);
      return;
    }
    const { node: key, container, object } = this.#shown;
    const node = this.#model.nodes.get(key);
    const id = key !== undefined ? node?.id : object === undefined ? container : this.#shown.id;
    const name = key !== undefined ? node?.name : this.#model.containers.get(id)?.name;
    const rows = this.#model.history(id ?? "", name).map((event) => eventRow(event)).reverse();
    this.#body.replaceChildren(rows.length === 0 ? element("p", { class: "none", text: "No event of it in the last ten minutes is known." })
      : element("ol", { class: "events" }, ...rows));
  }

  /** The tasks of a slot, or of a whole service beside what was done to it, the newest first: what is kept of its history. */
  async #tasks({ service, slot, node }) {
    const shown = this.#shown;
    if (this.#asking === shown) {
      this.#again = true;
      return;
    }
    [this.#asking, this.#again] = [shown, false];
    let rows;
    try {
      const answer = await fetch(`api/services/${encodeURIComponent(service)}/tasks`);
      const tasks = await answer.json();
      if (!answer.ok) throw new Error(tasks.message);
      const own = (task) => slot === undefined
        || ((task.Slot ?? 0) === slot && (!this.#isGlobal(service) || task.NodeID === node));
      const done = slot === undefined ? this.#model.history(service).map((event) => [event.at, eventRow(event)]) : [];
      const ran = tasks.filter(own).map((task) => {
        const { State: state, Err: error, Message: message, Timestamp: at, ContainerStatus: ended } = task.Status;
        const code = ended?.ExitCode ? ` (${ended.ExitCode})` : "";
        const words = `${slot === undefined && task.Slot ? `${task.Slot}: ` : ""}${state}${code}: ${error || message || ""}`;
        const row = element("li", { class: "event task", title: task.ID }, element("time", { text: clock(Date.parse(at)), datetime: at }),
          element("span", { class: "where", text: this.#model.nodes.get(task.NodeID)?.name ?? "" }), element("span", { text: words }));
        // A service's are told by what became of them last, a slot's one after the other.
        return [Date.parse(slot === undefined ? at : task.CreatedAt), row];
      });
      rows = [...ran, ...done].sort(([a], [b]) => b - a).map(([, row]) => row);
    } catch (error) {
      rows = [element("li", { class: "none", text: `It cannot be had: ${error.message}` })];
    }
    const isShown = () => this.#shown === shown && this.#part === "history" && this.#visible;
    if (isShown()) this.#body.replaceChildren(element("ol", { class: "events tasks" }, ...rows));
    await new Promise((resolve) => { setTimeout(resolve, PAUSE); });
    if (this.#asking !== shown) return;
    this.#asking = null;
    if (this.#again && isShown()) this.#history();
  }

  async #json() {
    const shown = this.#shown;
    const text = element("pre", { text: "asking…" });
    this.#body.replaceChildren(text);
    let said;
    try {
      const answer = await fetch(this.#path());
      const value = await answer.json();
      said = answer.ok ? JSON.stringify(value, null, 2) : value.message;
    } catch (error) {
      said = `It cannot be had: ${error.message}`;
    }
    if (this.#shown === shown) say(text, said);
  }

  #logs() {
    const text = element("pre", { class: "log", "aria-label": "Output" });
    const state = element("p", { class: "none", text: "asking its engine…" });
    this.#body.replaceChildren(state, text);
    const source = new EventSource(`${this.#path()}/logs?tail=200`);
    this.#source = source;
    source.onopen = () => say(state, "following");
    source.addEventListener("lines", (message) => {
      const atEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 8;
      text.append(...JSON.parse(message.data).map(([stream, line]) => element("span", { class: stream, text: `${line}\n` })));
      while (text.childElementCount > LINES) text.firstElementChild.remove();
      if (atEnd) text.scrollTop = text.scrollHeight;
    });
    source.addEventListener("end", (message) => {
      const { reason } = JSON.parse(message.data);
      say(state, reason === "" ? "That is all: it does not run any more." : `It ended: ${reason}`);
      source.close();
    });
    source.onerror = () => {
      // It would begin again from its last lines, and show them twice.
      source.close();
      say(state, "The output cannot be followed: its engine does not answer, or the container is gone.");
    };
  }
}

const gone = (what) => element("p", { class: "none", text: `This ${what} is gone.` });
