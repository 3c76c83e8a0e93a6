// What a node's head and a tile look like, and how they are filled with what they stand for.

import { element, say } from "./element.js";
import { bytes, cpus, imageName, moveWords, nodeShape, nodeWords, stateOf, troubleOf } from "./words.js";

/** Labels that every engine gives itself. */
const STANDARD = new Set(["architecture", "executiondriver", "kernelversion", "operatingsystem", "ostype", "storagedriver"]);

function bar(label) {
  const fill = element("i");
  const text = element("span");
  return { fill, text, row: element("div", { class: "bar" }, element("b", { text: label }), element("div", {}, fill), text) };
}

export function newCard() {
  const [shape, name, state, labels, count] = ["span", "strong", "em", "small", "small"]
    .map((tag) => element(tag));
  const [cpu, memory] = [bar("CPU"), bar("memory")];
  const top = element("div", { class: "top" }, shape, name, count);
  const root = element("div", { class: "card", role: "group" });
  const head = element("div", { class: "head", role: "option" }, top, state, labels, cpu.row, memory.row);
  root.append(head);
  return { root, head, option: head, shape, name, state, labels, count, cpu, memory, node: null, shown: -1 };
}

export function newTile() {
  const [shape, name, state, image] = ["i", "b", "em", "small"].map((tag) => element(tag));
  const root = element("div", { class: "tile", role: "option" }, shape, name, state, image);
  return { root, option: root, shape, name, state, image, container: null };
}

function fillBar(one, part, total, words) {
  const share = total > 0 ? Math.min(1, part / total) : 0;
  one.fill.style.width = `${Math.round(share * 100)}%`;
  one.fill.className = part > total && total > 0 ? "over" : "";
  say(one.text, words);
}

/** Of what is in view for one frame only its shape and its name are told. */
function brief(one, isBrief) {
  if (one.brief === isBrief) return;
  one.brief = isBrief;
  one.root.classList.toggle("brief", isBrief);
}

export function fillCard(card, node, shown, total, passing) {
  card.node = node;
  card.shown = shown;
  const words = nodeWords(node);
  card.root.dataset.state = node.state;
  card.head.dataset.node = node.key;
  card.head.id = `n${node.key}`;
  say(card.shape, nodeShape(node));
  say(card.name, node.name);
  brief(card, passing);
  if (passing) return;
  // A drain says for itself how far it is.
  const said = node.message.startsWith("drain") ? `${node.state}, ${node.message}` : `${words}: ${node.message}`;
  say(card.state, node.message ? said : words);
  // What the owner said of his host stands before what every engine says of itself.
  const labels = Object.entries(node.labels ?? {}).map(([key, value]) => [STANDARD.has(key), `${key}=${value}`])
    .sort(([a], [b]) => a - b).map(([, text]) => text).join("  ");
  say(card.labels, labels);
  say(card.count, shown === total ? `${total}` : `${shown}/${total}`);
  fillBar(card.cpu, node.reservedNanoCpus / 1e9, node.cpus, `${cpus(node.reservedNanoCpus)} of ${node.cpus}`);
  fillBar(card.memory, node.reservedMemory, node.memory, `${bytes(node.reservedMemory)} of ${bytes(node.memory)}`);
  card.head.title = [node.name, node.address, card.state.textContent, labels].join("\n");
  card.root.setAttribute("aria-label", `${node.name}, ${words}, ${total} tiles`);
}

export function fillTile(tile, container, node, plan, passing) {
  tile.container = container;
  const [shape, words, kind] = stateOf(container, node);
  tile.root.className = `tile ${kind}${plan === undefined ? "" : " going"}${passing ? " brief" : ""}`;
  tile.chosen = false;
  tile.brief = passing;
  tile.root.dataset.id = container.id;
  tile.root.id = `c${container.id}`;
  tile.root.style.setProperty("--hue", container.hue);
  say(tile.shape, shape);
  say(tile.name, container.name);
  if (passing) return;
  say(tile.state, plan === undefined ? words : `→ ${plan.To}`);
  const trouble = troubleOf(container);
  const why = trouble || (container.moved ? moveWords(container.moved) : "");
  const sign = trouble ? "! " : why ? "↷ " : "";
  const ports = container.ports.length > 0 ? ` · ${container.ports.join(" ")}` : "";
  say(tile.image, trouble ? `${sign}${trouble}` : `${sign}${imageName(container.image)}${ports}`);
  tile.root.title = [container.name, words, container.service, container.image, ...container.ports,
    container.placed && `placed: ${container.placed}`, why,
    plan === undefined ? "" : plan.Reason].filter(Boolean).join("\n");
}
