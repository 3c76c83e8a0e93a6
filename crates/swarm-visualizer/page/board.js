// Nodes as columns of tiles. Only what is in view has elements, and those are used again, so that a
// thousand nodes scroll as ten do. Sizes are fixed here and nowhere else.

import { fillCard, fillTile, newCard, newTile } from "./cells.js";
import { element, say } from "./element.js";
import { isReached } from "./words.js";

const GAP = 12;
/** A column's least width, the height of its head and of a tile; style.css has the same. */
const ROOMY = { COLUMN: 216, HEAD: 112, TILE: 46 };
const DENSE = { COLUMN: 150, HEAD: 62, TILE: 21 };
/** What is kept above and below the view. */
const BEYOND = 300;

export class Board {
  #model;
  #root;
  #space;
  #cardLayer;
  #tileLayer;
  #empty;
  #filter;
  #cells = [];
  #rows = [];
  #columns = 1;
  #size = ROOMY;
  #width = ROOMY.COLUMN;
  #kept = new Map();
  #cards = new Map();
  #tiles = new Map();
  #spareCards = [];
  #spareTiles = [];
  #selected = null;
  #moves = new Map();
  #asked = false;
  /** Where the board was scrolled to when it was last drawn. */
  #top = 0;
  /** Whether it is being scrolled so fast that each place is seen for one frame. */
  #passing = false;
  #stale = true;
  #onSelect;

  constructor(model, root, { onSelect, filter }) {
    this.#model = model;
    this.#root = root;
    this.#space = root.querySelector("#space");
    // Tiles above cards, in whatever order elements are made.
    this.#cardLayer = element("div", { role: "presentation" });
    this.#tileLayer = element("div", { role: "presentation" });
    this.#space.append(this.#cardLayer, this.#tileLayer);
    this.#empty = root.querySelector("#empty");
    this.#filter = filter;
    this.#onSelect = onSelect;
    root.addEventListener("scroll", () => this.#draw(), { passive: true });
    new ResizeObserver(() => this.#again()).observe(root);
    root.addEventListener("click", (event) => this.#click(event));
    root.addEventListener("keydown", (event) => this.#key(event));
    model.listen((change) => {
      if (change.all) this.#kept.clear();
      else for (const key of change.touched) this.#kept.delete(key);
      if (change.all || change.touched.size > 0) this.#again();
    });
  }

  set filter(filter) {
    this.#filter = filter;
    this.#kept.clear();
    this.#root.scrollTop = 0;
    this.#again();
  }

  set dense(dense) {
    this.#size = dense ? DENSE : ROOMY;
    this.#root.classList.toggle("dense", dense);
    this.#again();
  }

  /** Marks what a plan would move, by container. */
  set moves(moves) {
    this.#moves = moves;
    for (const tile of this.#tiles.values()) tile.container = null;
    this.#again();
  }

  select(selected) {
    this.#selected = selected;
    this.#again();
  }

  /** Brings an object into view. */
  show(selected) {
    this.#layout();
    const key = selected.node ?? this.#model.containers.get(selected.container)?.node;
    const cell = this.#cells.find((one) => one.node.key === key);
    if (cell !== undefined) {
      const place = cell.list.findIndex((one) => one.id === selected.container);
      const top = cell.row.top + (place < 0 ? 0 : this.#size.HEAD + place * this.#size.TILE);
      const bottom = top + (place < 0 ? this.#size.HEAD : this.#size.TILE);
      const view = this.#root;
      if (top < view.scrollTop) view.scrollTop = top - GAP;
      else if (bottom > view.scrollTop + view.clientHeight) view.scrollTop = bottom - view.clientHeight + GAP;
    }
    this.select(selected);
  }

  #again() {
    this.#stale = true;
    this.#draw();
  }

  /** Draws once in the next frame, however often it is asked. */
  #draw() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#render();
    });
  }

  #listOf(node) {
    let list = this.#kept.get(node.key);
    if (list === undefined) {
      const all = this.#model.on(node.key);
      list = this.#filter.empty ? all : all.filter((one) => this.#filter.container(one, node));
      this.#kept.set(node.key, list);
    }
    return list;
  }

  /** Where each node is: rows of columns, a row as high as its highest column. */
  #layout() {
    if (!this.#stale) return;
    this.#stale = false;
    const width = this.#root.clientWidth - GAP;
    this.#columns = Math.max(1, Math.floor(width / (this.#size.COLUMN + GAP)));
    this.#width = Math.floor(width / this.#columns) - GAP;
    const nodes = this.#model.sortedNodes().map((key) => this.#model.nodes.get(key));
    this.#cells = [];
    this.#rows = [];
    let top = GAP;
    for (const node of nodes) {
      const list = this.#listOf(node);
      if (list.length === 0 && !this.#filter.node(node)) continue;
      const column = this.#cells.length % this.#columns;
      if (column === 0) {
        const before = this.#rows.at(-1);
        if (before !== undefined) top = before.top + before.height + GAP;
        this.#rows.push({ top, height: 0, cells: [] });
      }
      const row = this.#rows.at(-1);
      const cell = { node, list, row, column };
      row.cells.push(cell);
      row.height = Math.max(row.height, this.#size.HEAD + list.length * this.#size.TILE);
      this.#cells.push(cell);
    }
    const last = this.#rows.at(-1);
    this.#space.style.height = `${last === undefined ? 0 : last.top + last.height + GAP}px`;
    this.#empty.hidden = this.#cells.length > 0 || this.#model.version === 0;
    say(this.#empty, nodes.length > 0 ? "Nothing matches the filter."
      : this.#model.isSwarm ? "This node knows no nodes: above is why." : "No nodes yet: nothing names an engine.");
  }

  #render() {
    this.#layout();
    const { scrollTop: top, clientHeight: height } = this.#root;
    // Who goes that far at once sees each place for one frame: what is around it is drawn where he stays.
    const far = Math.abs(top - this.#top) > height / 2;
    this.#top = top;
    this.#passing = far;
    if (far) this.#draw();
    const from = top - (far ? 0 : BEYOND);
    const to = top + height + (far ? 0 : BEYOND);
    const [cards, tiles] = [new Set(), new Set()];
    for (const row of this.#rows) {
      if (row.top + row.height < from) continue;
      if (row.top > to) break;
      for (const cell of row.cells) {
        cards.add(cell.node.key);
        const first = Math.max(0, Math.floor((from - row.top - this.#size.HEAD) / this.#size.TILE));
        const last = Math.min(cell.list.length, Math.ceil((to - row.top - this.#size.HEAD) / this.#size.TILE));
        for (let place = first; place < last; place += 1) tiles.add(cell.list[place].id);
      }
    }
    this.#putAway(this.#cards, cards, this.#spareCards);
    this.#putAway(this.#tiles, tiles, this.#spareTiles);
    for (const row of this.#rows) {
      if (row.top + row.height < from) continue;
      if (row.top > to) break;
      for (const cell of row.cells) this.#renderCell(cell, tiles);
    }
    // Most are used again in the same frame; what is left is not shown.
    for (const one of [...this.#spareCards, ...this.#spareTiles]) if (!one.root.hidden) one.root.hidden = true;
  }

  #putAway(shown, wanted, spare) {
    for (const [key, one] of shown) {
      if (wanted.has(key)) continue;
      shown.delete(key);
      spare.push(one);
    }
  }

  #take(shown, key, spare, make, layer) {
    let one = shown.get(key);
    if (one === undefined) {
      one = spare.pop();
      if (one === undefined) {
        one = make();
        layer.append(one.root);
      }
      if (one.root.hidden) one.root.hidden = false;
      shown.set(key, one);
      one.container = null;
      one.node = null;
    }
    return one;
  }

  /** Writes what changed of a place: reading it back from the element would cost more. */
  #place(one, left, top, height) {
    if (one.left !== left || one.top !== top) {
      one.left = left;
      one.top = top;
      one.root.style.transform = `translate(${left}px, ${top}px)`;
    }
    if (one.width !== this.#width) {
      one.width = this.#width;
      one.root.style.width = `${this.#width}px`;
    }
    if (height !== undefined && one.height !== height) {
      one.height = height;
      one.root.style.height = `${height}px`;
    }
  }

  #renderCell(cell, tiles) {
    const { node, list, row, column } = cell;
    const left = GAP + column * (this.#width + GAP);
    const card = this.#take(this.#cards, node.key, this.#spareCards, newCard, this.#cardLayer);
    const total = this.#model.on(node.key).length;
    const passing = this.#passing;
    if (card.node !== node || card.shown !== list.length || card.total !== total || (card.brief && !passing)) {
      card.total = total;
      fillCard(card, node, list.length, total, passing);
    }
    this.#place(card, left, row.top, this.#size.HEAD + list.length * this.#size.TILE);
    this.#mark(card, this.#selected?.node === node.key);
    const reached = isReached(node);
    for (let place = 0; place < list.length; place += 1) {
      const container = list[place];
      if (!tiles.has(container.id)) continue;
      const tile = this.#take(this.#tiles, container.id, this.#spareTiles, newTile, this.#tileLayer);
      if (tile.container !== container || tile.reached !== reached || (tile.brief && !passing)) {
        tile.reached = reached;
        fillTile(tile, container, node, this.#moves.get(container.id), passing);
      }
      this.#place(tile, left, row.top + this.#size.HEAD + place * this.#size.TILE);
      this.#mark(tile, this.#selected?.container === container.id);
    }
  }

  #mark(one, chosen) {
    if (one.chosen === chosen) {
      if (chosen) this.#root.setAttribute("aria-activedescendant", one.option.id);
      return;
    }
    one.chosen = chosen;
    one.option.classList.toggle("chosen", chosen);
    one.option.setAttribute("aria-selected", chosen);
    if (chosen) this.#root.setAttribute("aria-activedescendant", one.option.id);
  }

  #click(event) {
    const tile = event.target.closest(".tile");
    const head = event.target.closest(".head");
    if (tile !== null) this.#onSelect({ container: tile.dataset.id }, true);
    else if (head !== null) this.#onSelect({ node: head.dataset.node }, true);
  }

  #key(event) {
    const steps = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
    const step = steps[event.key];
    if (step !== undefined && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.#step(...step);
    } else if (event.key === "Enter" && this.#selected !== null) {
      event.preventDefault();
      this.#onSelect(this.#selected, true);
    }
  }

  /** From the chosen object to its neighbour; a column's head is above its first tile. */
  #step(aside, down) {
    this.#layout();
    if (this.#cells.length === 0) return;
    const key = this.#selected?.node ?? this.#model.containers.get(this.#selected?.container)?.node;
    let index = this.#cells.findIndex((cell) => cell.node.key === key);
    let place = -1;
    if (index < 0) index = 0;
    else {
      place = this.#cells[index].list.findIndex((one) => one.id === this.#selected.container) + down;
      index += aside;
      if (place < -1) {
        index -= this.#columns;
        place = Infinity;
      } else if (place >= this.#cells[index]?.list.length && aside === 0) {
        index += this.#columns;
        place = -1;
      }
    }
    const cell = this.#cells[index];
    if (cell === undefined) return;
    const container = cell.list[Math.min(place, cell.list.length - 1)];
    const selected = container === undefined ? { node: cell.node.key } : { container: container.id };
    this.show(selected);
    this.#onSelect(selected, false);
  }
}
