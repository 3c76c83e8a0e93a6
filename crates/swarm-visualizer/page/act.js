// What a person may do from the page, where the manager lets it: each action says what it will do before
// it is done, and what became of it after.

import { element, say } from "./element.js";

/** Moves that are named before they are made. */
const NAMED = 12;

const path = (kind, name, verb) => `${kind}/${encodeURIComponent(name)}/${verb}`;

/** What a plan would do, in lines. */
function planLines({ Note, Moves, Kept }) {
  const lines = [`${Note}.`, ...Moves.slice(0, NAMED).map((one) => `${one.Container}: ${one.From} → ${one.To}`)];
  if (Moves.length > NAMED) lines.push(`and ${Moves.length - NAMED} more`);
  lines.push(...Kept.slice(0, NAMED).map((one) => `${one.Container} stays or ends: ${one.Reason}`));
  if (Kept.length > NAMED) lines.push(`and ${Kept.length - NAMED} more that stay`);
  return lines;
}

export class Acts {
  #model;
  #dialog;
  #outcomes = new Map();
  /** What is to be told when the person agrees to what is asked next. */
  #begun = null;
  #listeners = [];

  constructor(model, dialog) {
    this.#model = model;
    this.#dialog = dialog;
  }

  /** Whether there are any. */
  get allowed() { return typeof this.#model.key === "string"; }

  /** Calls back when something became of an action. */
  listen(listener) { this.#listeners.push(listener); }

  /** The buttons for what is chosen, and what became of the last of them; nothing where none are allowed. */
  of(selected) {
    if (!this.allowed) return null;
    const list = this.#list(selected);
    const which = selected.container ?? selected.node ?? selected.service;
    const outcome = this.#outcomes.get(which);
    // What was removed has no buttons any more; that it was has still to be said.
    if (list.length === 0 && outcome === undefined) return null;
    const buttons = list.map(([text]) => element("button", { type: "button", "data-act": text, text,
      disabled: outcome?.going === true, onclick: () => {
        // As it is now: the button may be older than what it is about.
        const [, ask] = this.#list(selected).find(([other]) => other === text) ?? [];
        if (ask !== undefined) this.#run(which, ask);
      } }));
    // Whose they are is part of them: buttons of the same words are not the same.
    return element("div", { "data-of": which }, buttons.length > 0
      ? element("div", { class: "acts", role: "group", "aria-label": "Actions" }, ...buttons) : undefined,
      outcome && element("p", { class: `outcome ${outcome.bad ? "bad" : ""}`, role: "status", text: outcome.text }));
  }

  /** What can be done: a word, and what asks for it. */
  #list({ container: id, node: key, service: sid }) {
    if (id !== undefined) return this.#ofContainer(this.#model.containers.get(id));
    return key !== undefined ? this.#ofNode(this.#model.nodes.get(key)) : this.#ofService(this.#model.service(sid));
  }

  #ofContainer(one) {
    if (one === undefined) return [];
    const { task } = one;
    if (task !== undefined) {
      if (!task.container || one.state !== "running") return [];
      const follows = "It is a task: its service's restart policy decides whether another follows it.";
      return ["stop", "kill"].map((verb) => [verb, () => this.#confirm(`${verb} the container of ${one.name}?`,
        [verb === "stop" ? "It gets its stop signal, and is killed after its time to stop." : "It is killed at once.", follows],
        path("containers", task.container, verb))]);
    }
    const runs = one.state === "running" || one.state === "paused" || one.state === "restarting";
    const words = {
      start: ["It is started again as it was made."],
      stop: ["It gets its stop signal, and is killed after its time to stop. It stays, and can be started again."],
      restart: ["It is stopped and started again."],
      kill: ["It is killed at once, without being asked to end."],
      remove: [runs ? "It runs: it is killed, and removed with what it wrote into its own file system."
        : "It is removed with what it wrote into its own file system. Its volumes stay."],
    };
    const node = this.#model.nodes.get(one.node)?.name ?? "";
    return (runs ? ["stop", "restart", "kill", "remove"] : ["start", "remove"]).map((verb) => [verb,
      () => this.#confirm(`${verb} ${one.name} on ${node}?`, words[verb], path("containers", one.id, verb),
        verb === "remove" ? { force: runs } : {})]);
  }

  #ofNode(node) {
    if (node === undefined || node.key === "~") return [];
    const set = (text, availability, words) => [text, () => this.#confirm(`${text} ${node.name}?`, words,
      path("nodes", node.id, availability))];
    const acts = [];
    if (node.availability !== "active") {
      acts.push(set("uncordon", "active", ["It is given containers and tasks again. Nothing moves back by itself."]));
    }
    if (node.availability === "active") {
      acts.push(set("cordon", "pause", ["It keeps what it has, and is given nothing new."]));
    }
    if (node.availability !== "drain") {
      acts.push(["drain", async () => this.#confirm(`drain ${node.name}?`,
        ["It is given nothing new, and is emptied. As it would be now:",
          ...planLines(await this.#plan(`drain=${encodeURIComponent(node.id)}`))], path("nodes", node.id, "drain"))]);
    }
    return acts;
  }

  #ofService(service) {
    if (service === undefined) return [];
    const acts = [];
    if (service.mode === "replicated") {
      acts.push(["scale", () => this.#scale(service)]);
    }
    if (service.mode === "replicated" || service.mode === "global") {
      acts.push(["restart", () => this.#confirm(`restart ${service.name}?`,
        [`Its ${service.desired} tasks are replaced, some at a time, as its update configuration says.`],
        path("services", service.id, "restart"))]);
    }
    return acts;
  }

  #scale(service) {
    const input = element("input", { type: "number", min: "0", step: "1", value: String(service.desired),
      "aria-label": "Tasks" });
    const words = element("li", {});
    const tell = () => {
      const wanted = Number(input.value);
      const more = wanted - service.desired;
      say(words, !Number.isInteger(wanted) || wanted < 0 || input.value === "" ? "Say a number, 0 or more."
        : more === 0 ? "That is how many it has." : more > 0 ? `${more} more are started.` : `${-more} are stopped and removed.`);
    };
    input.addEventListener("input", tell);
    tell();
    return this.#confirm(`scale ${service.name}?`, [element("li", { text: `It is to have ${service.desired} tasks now. Instead: ` }, input), words],
      path("services", service.id, "scale"), () => {
        const wanted = Number(input.value);
        return input.value !== "" && Number.isInteger(wanted) && wanted >= 0 ? { replicas: wanted } : null;
      });
  }

  async #plan(query) {
    const answer = await fetch(`api/plan?${query}`);
    const plan = await answer.json();
    if (!answer.ok) throw new Error(plan.message);
    return plan;
  }

  /** Evens out, as a plan shows; a line for each move as it ends is told. */
  rebalance(plan, told) {
    return this.#dialogue("rebalance now?", [...planLines(plan), "It is planned again when it begins, and stops when this page is left."], async () => {
      const answer = await this.#send("rebalance", { limit: Math.max(1, plan.Moves.length) });
      if (!answer.ok) throw new Error((await answer.json()).message);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let [text, moved, failed, why] = ["", 0, 0, ""];
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        text += part.value;
        const lines = text.split("\n");
        text = lines.pop();
        for (const line of lines.filter(Boolean).map((one) => JSON.parse(one))) {
          if (line.MovedTo !== undefined) moved += 1;
          else if (line.Container !== undefined) [failed, why] = [failed + 1, ` (${line.Container}: ${line.Error})`];
          else if (line.Error !== undefined) why = ` (${line.Error})`;
          told(`${moved} moved${failed > 0 ? `, ${failed} not` : ""}${why}`);
        }
      }
    });
  }

  async #run(which, ask) {
    const keep = (outcome) => {
      if (outcome === null) this.#outcomes.delete(which);
      else this.#outcomes.set(which, outcome);
      for (const listener of this.#listeners) listener();
    };
    keep(null);
    this.#begun = () => keep({ text: "under way…", going: true });
    try {
      const text = await ask();
      if (text !== undefined) keep({ text });
    } catch (error) {
      keep({ text: error.message, bad: true });
    }
  }

  /** Asks whether to, and does it. */
  #confirm(title, lines, where, body = {}) {
    return this.#dialogue(title, lines, async () => {
      const wish = typeof body === "function" ? body() : body;
      if (wish === null) throw new Error("Nothing was done: that is no number of tasks.");
      const answer = await this.#send(where, wish);
      const { message } = await answer.json();
      if (!answer.ok) throw new Error(message);
      return message;
    });
  }

  #send(where, body) {
    return fetch(`api/${where}`, { method: "POST", body: JSON.stringify(body),
      headers: { "Content-Type": "application/json", "X-Swarm-Page": this.#model.key } });
  }

  /** Shows what will happen; what doing it gives, or nothing where the person would not. */
  #dialogue(title, lines, act) {
    const dialog = this.#dialog;
    const begun = this.#begun;
    this.#begun = null;
    const items = lines.map((line) => (typeof line === "string" ? element("li", { text: line }) : line));
    return new Promise((resolve, reject) => {
      let agreed = false;
      const yes = element("button", { type: "button", class: "do", text: title.split(" ")[0], onclick: () => {
        agreed = true;
        dialog.close();
      } });
      const no = element("button", { type: "button", class: "not", text: "cancel", onclick: () => dialog.close() });
      dialog.replaceChildren(element("h2", { id: "ask-title", text: title }), element("ul", {}, ...items),
        element("div", { class: "choices" }, no, yes));
      dialog.addEventListener("close", () => {
        if (!agreed) {
          resolve(undefined);
          return;
        }
        begun?.();
        act().then(resolve, reject);
      }, { once: true });
      dialog.showModal();
      (dialog.querySelector("input") ?? no).focus();
    });
  }
}
