// What a rebalancing or the draining of a node would move, shown before anybody does it.

import { element, say } from "./element.js";
import { byName } from "./model.js";

export class Plan {
  title = "Plan";
  #model;
  #choice = element("select", { "aria-label": "What to plan" });
  #button = element("button", { type: "button", class: "ask", text: "Show what would move" });
  #clear = element("button", { type: "button", class: "ask", text: "Clear", hidden: true });
  #said = element("p", { class: "note", role: "status" });
  #moves = element("ol", { class: "moves" });
  #root;
  #none = element("p", { class: "none" });
  #apply = element("button", { type: "button", class: "ask apply", text: "Rebalance", hidden: true });
  #acts;
  #plan = null;
  #names = "";
  #onMoves;
  #onShow;

  constructor(model, acts, { onMoves, onShow }) {
    this.#model = model;
    this.#acts = acts;
    this.#onMoves = onMoves;
    this.#onShow = onShow;
    this.#button.addEventListener("click", () => this.#ask());
    this.#clear.addEventListener("click", () => this.#reset());
    this.#root = element("div", { class: "plan" },
      this.#none, this.#choice, this.#button, this.#clear, this.#apply, this.#said, this.#moves);
    this.#apply.addEventListener("click", () => this.#rebalance());
  }

  get root() { return this.#root; }

  set visible(visible) {
    if (!visible) return;
    const drain = this.#model.isSwarm ? "docker node update --availability drain" : "swarm node drain";
    say(this.#none, this.#acts.allowed ? "A plan moves nothing. A rebalance can be begun here, a drain in a node's details."
      : `Nothing is moved from here: \`swarm rebalance --apply\` and \`${drain}\` do that.`);
    const nodes = [...this.#model.nodes.values()].filter((node) => node.key !== "~").sort(byName);
    const names = [this.#model.pool?.kind, ...nodes.map((node) => `${node.key} ${node.name}`)].join("\n");
    if (names === this.#names) return;
    this.#names = names;
    const before = this.#choice.value;
    this.#choice.replaceChildren(element("option", { value: "", text: this.#model.isSwarm ? "Rebalance the services" : "Rebalance the pool" }),
      ...nodes.map((node) => element("option", { value: node.id, text: `Drain ${node.name}` })));
    this.#choice.value = before;
    if (this.#choice.selectedIndex < 0) this.#choice.selectedIndex = 0;
  }

  #reset() {
    this.#plan = null;
    this.#clear.hidden = true;
    this.#apply.hidden = true;
    this.#moves.replaceChildren();
    say(this.#said, "");
    this.#onMoves(new Map());
  }

  async #ask() {
    this.#button.disabled = true;
    say(this.#said, "planning…");
    const node = this.#choice.value;
    const query = node === "" ? "rebalance=1" : `drain=${encodeURIComponent(node)}`;
    try {
      const answer = await fetch(`api/plan?${query}`);
      const plan = await answer.json();
      if (answer.ok) this.#show(plan, node === "");
      else {
        this.#reset();
        say(this.#said, plan.message);
      }
    } catch (error) {
      this.#reset();
      say(this.#said, `The plan cannot be had: ${error.message}`);
    }
    this.#button.disabled = false;
  }

  async #rebalance() {
    this.#apply.disabled = true;
    try {
      await this.#acts.rebalance(this.#plan, (words) => say(this.#said, words));
    } catch (error) {
      say(this.#said, error.message);
    }
    this.#apply.disabled = false;
  }

  #show(plan, evens) {
    const { Note, Moves, Kept } = plan;
    this.#plan = plan;
    this.#apply.hidden = !evens || !this.#acts.allowed || Moves.length === 0;
    say(this.#said, Note);
    const row = (one, words) => element("li", {}, element("button", { type: "button",
      onclick: () => { if (one.ID !== undefined) this.#onShow({ container: one.ID }); } }, element("b", { text: one.Container }), element("span", { text: words })));
    this.#moves.replaceChildren(
      ...Moves.map((one) => row(one, `${one.From} → ${one.To}: ${one.Reason}`)),
      ...Kept.map((one) => row(one, `stays on ${one.Node}: ${one.Reason}`)));
    this.#clear.hidden = false;
    this.#onMoves(new Map(Moves.map((one) => [one.ID, one])));
  }
}
