// The panel beside the board: services, events, one object's details, and the plan.

import { element, say } from "./element.js";
import { clock, eventWords } from "./words.js";

const SERVICES = 500;
const SHOWN = 300;
/** Between two counts of the services, milliseconds. */
const COUNT = 250;

/** A list of services; a click filters by one, and a swarm's own have details. */
export class Services {
  title = "Services";
  #model;
  #list = element("ul", { class: "services" });
  /** What is shown, by the services' names: it is written anew only where it differs. */
  #rows = new Map();
  #more = element("li");
  #timer = 0;
  #visible = false;
  #onFilter;
  #onShow;

  constructor(model, onFilter, onShow) {
    this.#model = model;
    this.#onFilter = onFilter;
    this.#onShow = onShow;
    model.listen((change) => {
      if (change.all || change.services || change.touched.size > 0) this.#soon();
    });
  }

  get root() { return this.#list; }

  set visible(visible) {
    this.#visible = visible;
    if (visible) this.#fill();
  }

  #soon() {
    if (this.#timer !== 0 || !this.#visible) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      if (this.#visible) this.#fill();
    }, COUNT);
  }

  #fill() {
    const services = this.#model.services();
    const before = this.#rows;
    this.#rows = new Map();
    const rows = services.slice(0, SERVICES).map((one) => {
      const row = before.get(`${one.id} ${one.name}`) ?? this.#row(one);
      this.#rows.set(`${one.id} ${one.name}`, row);
      const state = one.running === one.total ? "● all running" : one.running === 0 ? "■ none running" : "◐ some running";
      const words = [`${state}, on ${one.nodes} nodes`, one.update && `update ${one.update}`, one.lacks].filter(Boolean).join("\n");
      const busy = one.update === "updating" || one.update === "rollback_started" ? " ↻" : "";
      say(row.count, `${state.slice(0, 1)} ${one.running}/${one.total}${busy}`);
      if (row.words !== words) row.button.title = row.words = words;
      return row.root;
    });
    if (services.length > SERVICES) {
      say(this.#more, `and ${services.length - SERVICES} more`);
      rows.push(this.#more);
    }
    if (rows.length === 0) rows.push(element("li", { class: "none", text: "No services or containers yet." }));
    const shown = this.#list.children;
    if (shown.length !== rows.length || rows.some((row, place) => shown[place] !== row)) this.#list.replaceChildren(...rows);
  }

  #row(one) {
    const count = element("span");
    const colour = element("i");
    colour.style.setProperty("--hue", one.hue);
    const button = element("button", { type: "button", class: "service",
      onclick: () => this.#onFilter(`service:"${one.name.replaceAll('"', "")}"`) },
    colour, element("b", { text: one.name }), count);
    if (one.id === undefined) return { root: element("li", {}, button), button, count };
    const root = element("li", { class: "own" }, button, element("button", { type: "button", class: "more", text: "…",
      title: `Details of ${one.name}`, "aria-label": `Details of ${one.name}`, onclick: () => this.#onShow(one.id) }));
    return { root, button, count };
  }
}

/** One event's line. */
export function eventRow(event, onShow) {
  const row = element("li", { class: `event ${event.type}` },
    element("time", { text: clock(event.at), datetime: new Date(event.at).toISOString() }),
    element("span", { class: "where", text: event.node }),
    onShow === undefined ? element("span", { text: eventWords(event) })
      : element("button", { type: "button", text: eventWords(event), onclick: () => onShow(event) }));
  return row;
}

/** What happens, newest first. */
export class Events {
  title = "Events";
  #model;
  #list = element("ol", { class: "events" });
  #skipped = element("p", { class: "none", hidden: true });
  #none = element("p", { class: "none", text: "No event of the last ten minutes is known." });
  #root = element("div", {}, this.#skipped, this.#none, this.#list);
  #onShow;

  constructor(model, onShow) {
    this.#model = model;
    this.#onShow = onShow;
    model.listen((change) => {
      if (change.events !== undefined) this.#add(change);
    });
  }

  get root() { return this.#root; }
  set visible(_) {}

  #add({ all, events }) {
    if (all) this.#list.replaceChildren();
    const rows = events.slice(-SHOWN).map((event) => eventRow(event, this.#onShow)).reverse();
    this.#list.prepend(...rows);
    while (this.#list.childElementCount > SHOWN) this.#list.lastElementChild.remove();
    this.#none.hidden = this.#list.childElementCount > 0;
    this.#skipped.hidden = this.#model.skipped === 0;
    say(this.#skipped, `${this.#model.skipped} events came too fast to be shown.`);
  }
}

/** Tabs over one pane. */
export class Panel {
  #tabs;
  #pane;
  #views = new Map();
  #current = "";

  constructor(tabs, pane) {
    this.#tabs = tabs;
    this.#pane = pane;
    tabs.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step === undefined) return;
      const names = [...this.#views.keys()];
      const next = names[(names.indexOf(this.#current) + step + names.length) % names.length];
      this.open(next);
      this.#views.get(next).button.focus();
    });
  }

  add(name, view) {
    const button = element("button", { type: "button", role: "tab", id: `tab-${name}`, text: view.title,
      onclick: () => this.open(name) });
    this.#views.set(name, { view, button });
    this.#tabs.append(button);
  }

  get current() { return this.#current; }

  open(name) {
    this.#current = name;
    for (const [other, { view, button }] of this.#views) {
      const chosen = other === name;
      button.setAttribute("aria-selected", chosen);
      button.tabIndex = chosen ? 0 : -1;
      view.visible = chosen;
    }
    this.#pane.replaceChildren(this.#views.get(name).view.root);
    this.#pane.setAttribute("aria-labelledby", `tab-${name}`);
  }
}
