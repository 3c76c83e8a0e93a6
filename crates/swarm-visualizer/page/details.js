// One object: what is known of it, its JSON, its output as it comes, and what happened to it.

import { element, say } from "./element.js";
import { eventRow } from "./panel.js";
import { ago, bytes, cpus, date, moveWords, nodeWords, stateOf } from "./words.js";

/** Lines of output that are kept. */
const LINES = 2000;

function facts(pairs) {
  const rows = pairs.filter(([, value]) => value !== undefined && value !== "")
    .flatMap(([name, value]) => [element("dt", { text: name }), element("dd", { text: value })]);
  return element("dl", {}, ...rows);
}

const labelsOf = (labels) => Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`).join("\n");

export class Details {
  title = "Details";
  #model;
  #root = element("div", { class: "details" });
  #shown = null;
  #part = "facts";
  #source = null;
  #visible = false;
  #body = element("div", { class: "body" });
  #heading = element("h2");
  #parts = element("div", { class: "parts", role: "tablist" });

  constructor(model) {
    this.#model = model;
    this.#root.append(element("p", { class: "none", text: "Choose a node or a container: click it, or use the arrow keys." }));
    model.listen((change) => {
      if (this.#shown === null || !this.#visible) return;
      const key = this.#shown.node ?? this.#model.containers.get(this.#shown.container)?.node;
      if (change.all || change.touched.has(key) || change.touched.has(undefined)) this.#update();
      if (change.events !== undefined && this.#part === "history") this.#history();
    });
  }

  get root() { return this.#root; }

  set visible(visible) {
    this.#visible = visible;
    if (visible && this.#shown !== null) this.#open(this.#part);
    if (!visible) this.#end();
  }

  show(selected) {
    const same = this.#shown !== null && this.#shown.container === selected.container && this.#shown.node === selected.node;
    if (same && this.#visible) return;
    this.#shown = selected;
    if (selected.node !== undefined && (this.#part === "json" || this.#part === "logs")) this.#part = "facts";
    this.#root.replaceChildren(this.#heading, this.#parts, this.#body);
    if (this.#visible) this.#open(this.#part);
  }

  #open(part) {
    this.#end();
    this.#part = part;
    const names = this.#shown.node !== undefined ? { facts: "Facts", history: "History" }
      : { facts: "Facts", json: "JSON", logs: "Output", history: "History" };
    this.#parts.replaceChildren(...Object.entries(names).map(([name, text]) => element("button", {
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
    const { node: key, container: id } = this.#shown;
    if (key !== undefined) {
      const node = this.#model.nodes.get(key);
      say(this.#heading, node?.name ?? key);
      if (this.#part === "facts") this.#body.replaceChildren(node === undefined ? gone("node") : this.#ofNode(node));
      return;
    }
    const container = this.#model.containers.get(id);
    say(this.#heading, container?.name ?? id.slice(0, 12));
    if (this.#part === "facts") {
      this.#body.replaceChildren(container === undefined ? gone("container") : this.#ofContainer(container));
    }
  }

  #ofNode(node) {
    const list = this.#model.on(node.key);
    const running = list.filter((one) => one.state === "running").length;
    return facts([
      ["State", nodeWords(node)], ["Says", node.message], ["Address", node.address], ["Id", node.id],
      ["Engine", node.engineVersion], ["Containers", `${list.length}, ${running} running`],
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
      ["Reschedule", policy], ["Generation", one.generation === undefined ? "" : String(one.generation)],
      ["Id", one.id], ["Labels", labelsOf(one.labels)],
    ]);
  }

  #history() {
    const { node: key, container: id } = this.#shown;
    const name = key === undefined ? this.#model.containers.get(id)?.name : this.#model.nodes.get(key)?.name;
    const rows = this.#model.history(id ?? "", name).map((event) => eventRow(event)).reverse();
    this.#body.replaceChildren(rows.length === 0 ? element("p", { class: "none", text: "Nothing has happened to it since this page follows." })
      : element("ol", { class: "events" }, ...rows));
  }

  async #json() {
    const shown = this.#shown;
    const text = element("pre", { text: "asking its engine…" });
    this.#body.replaceChildren(text);
    let said;
    try {
      const answer = await fetch(`api/containers/${encodeURIComponent(shown.container)}`);
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
    const source = new EventSource(`api/containers/${encodeURIComponent(this.#shown.container)}/logs?tail=200`);
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
