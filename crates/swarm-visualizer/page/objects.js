// Networks, volumes, secrets and configs: what is not on the board. They are asked for when they are looked
// at, and again when an event tells of one.

import { element } from "./element.js";
import { ago } from "./words.js";

const KINDS = ["network", "volume", "secret", "config"];
/** Rows of one kind that are shown. */
const SHOWN = 500;
/** Events that come within this time are one reason to ask again, milliseconds. */
const GATHER = 150;

/** One object as Docker's API lists it, in few words. */
function row(kind, one) {
  const spec = one.Spec ?? one;
  const created = Date.parse(one.CreatedAt ?? one.Created ?? "");
  const facts = kind === "network" || kind === "volume" ? [one.Driver, one.Scope] : [];
  if (one.Internal) facts.push("internal");
  if (one.Attachable) facts.push("attachable");
  if (one.Ingress) facts.push("ingress");
  if (spec.Driver?.Name !== undefined) facts.push(`driver ${spec.Driver.Name}`);
  return { kind, id: one.ID ?? one.Id ?? one.Name, name: spec.Name ?? "", labels: spec.Labels ?? {},
    created: Number.isNaN(created) ? undefined : created, words: facts.filter(Boolean).join(", "),
    subnets: (one.IPAM?.Config ?? []).map((pool) => pool.Subnet).filter(Boolean), place: one.Mountpoint };
}

export class Objects {
  title = "Objects";
  #model;
  #root = element("div", { class: "objects" });
  #lists = new Map();
  #timer = 0;
  #visible = false;
  #asking = false;
  #again = false;
  #onShow;
  #onChange = () => {};
  #filter = null;

  constructor(model, onShow) {
    this.#model = model;
    this.#onShow = onShow;
    model.listen((change) => {
      const tells = change.events?.some((event) => KINDS.includes(event.type));
      if (change.all || tells) this.#soon();
    });
  }

  get root() { return this.#root; }

  set visible(visible) {
    this.#visible = visible;
    // Before the first look nobody knows what there is to ask for; then it is asked.
    if (visible && this.#model.pool !== null) this.#ask();
  }

  /** What is left in by its name and labels. */
  set filter(filter) {
    this.#filter = filter;
    if (this.#visible) this.#fill();
  }

  /** Calls back when the lists were read anew. */
  listen(listener) { this.#onChange = listener; }

  find(kind, id) { return this.#lists.get(kind)?.rows.find((one) => one.id === id); }

  #soon() {
    if (this.#timer !== 0 || !(this.#visible || this.#lists.size > 0)) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#ask();
    }, GATHER);
  }

  async #ask() {
    if (this.#asking) {
      this.#again = true;
      return;
    }
    this.#asking = true;
    do {
      this.#again = false;
      // A pool has no secrets and configs.
      const kinds = this.#model.isSwarm ? KINDS : KINDS.slice(0, 2);
      const lists = await Promise.all(kinds.map((kind) => this.#list(kind)));
      this.#lists = new Map(kinds.map((kind, place) => [kind, lists[place]]));
    } while (this.#again);
    this.#asking = false;
    if (this.#visible) this.#fill();
    this.#onChange();
  }

  async #list(kind) {
    try {
      const answer = await fetch(`api/${kind}s`);
      const value = await answer.json();
      if (!answer.ok) return { rows: [], trouble: value.message };
      const rows = (value.Volumes ?? (Array.isArray(value) ? value : [])).map((one) => row(kind, one));
      return { rows: rows.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true })) };
    } catch (error) {
      return { rows: [], trouble: `They cannot be had: ${error.message}` };
    }
  }

  #fill() {
    const groups = [...this.#lists].map(([kind, { rows, trouble }]) => {
      const left = this.#filter === null ? rows : rows.filter((one) => this.#filter.object(one));
      const list = left.slice(0, SHOWN).map((one) => element("li", {}, element("button", { type: "button", "data-kind": kind,
        title: [one.name, one.words, ...one.subnets].filter(Boolean).join("\n"), onclick: () => this.#onShow({ object: kind, id: one.id }) },
      element("b", { text: one.name.slice(0, 64) || one.id.slice(0, 12) }),
      element("span", { text: [one.words, one.created && `${ago(one.created)} ago`].filter(Boolean).join(", ") }))));
      if (left.length > SHOWN) list.push(element("li", { class: "none", text: `and ${left.length - SHOWN} more` }));
      if (list.length === 0) list.push(element("li", { class: "none", text: trouble ?? (rows.length > 0 ? "none matches the filter" : "none") }));
      const count = left.length === rows.length ? `${rows.length}` : `${left.length}/${rows.length}`;
      return element("section", {}, element("h3", { text: `${kind[0].toUpperCase()}${kind.slice(1)}s ${trouble === undefined ? count : ""}` }),
        element("ul", {}, ...list));
    });
    this.#root.replaceChildren(...groups);
  }
}
