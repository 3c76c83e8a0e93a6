// Which hue each service has: as far from all others' as there is room, and the same one for as long as it lives, also
// where the page is loaded again. Who comes first chooses first: nobody's hue changes because another one comes.

const PLACE = "swarm-hues";
/** Nobody tells more of them apart: those that come then have the hue of their name. */
const MOST = 64;
/** So many services are remembered, those that have gone too: one that is made anew is itself again. */
const KEPT = 256;

/** An angle that is the same for the same text everywhere. */
export function hueOf(text) {
  let hash = 2166136261;
  for (let place = 0; place < text.length; place += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(place), 16777619);
  }
  return ((hash >>> 0) * 137) % 360;
}

/** How far two hues are from each other, at most 180. */
export function apart(one, other) {
  const far = Math.abs(one - other) % 360;
  return Math.min(far, 360 - far);
}

/** The middle of the widest gap between hues; of several, the one nearest to what is wished for. */
function widest(hues, wished) {
  if (hues.length === 0) return wished;
  const sorted = [...hues].sort((a, b) => a - b);
  const gaps = sorted.map((hue, at) => {
    const width = at + 1 < sorted.length ? sorted[at + 1] - hue : sorted[0] + 360 - hue;
    return { width, middle: (hue + width / 2) % 360 };
  });
  const most = Math.max(...gaps.map((gap) => gap.width));
  const middles = gaps.filter((gap) => gap.width > most - 1e-6).map((gap) => gap.middle);
  return middles.reduce((best, one) => (apart(one, wished) < apart(best, wished) ? one : best));
}

/** What the browser remembers; one that remembers nothing is no trouble. */
export const remembered = {
  read() { try { return localStorage.getItem(PLACE); } catch { return null; } },
  write(text) { try { localStorage.setItem(PLACE, text); } catch { /* It is chosen again. */ } },
};

export class Hues {
  /** Hues by the names of services, who chose last at the end. */
  #known = new Map();
  #memory;
  #isNew = false;

  constructor(memory = remembered) {
    this.#memory = memory;
    try {
      for (const [name, hue] of JSON.parse(memory.read() ?? "[]")) {
        if (Number.isFinite(hue)) this.#known.set(String(name), hue);
      }
    } catch { /* Somebody else's words. */ }
  }

  /** A service's hue; `alive` gives the names of all that there are, where it has to choose one. */
  of(name, alive) {
    return this.#known.get(name) ?? this.#choose(name, alive());
  }

  #choose(name, alive) {
    const others = [];
    for (const [other, hue] of this.#known) {
      if (alive.has(other) && others.push(hue) === MOST) break;
    }
    const isLast = others.length === MOST;
    const hue = isLast ? hueOf(name) : widest(others, hueOf(name));
    if (!isLast) {
      // Whoever has gone and had one near it chooses anew when it is back.
      const near = Math.min(180, ...others.map((other) => apart(other, hue)));
      for (const [other, had] of this.#known) {
        if (!alive.has(other) && apart(had, hue) < near) this.#known.delete(other);
      }
    }
    this.#known.set(name, hue);
    this.#isNew = true;
    return hue;
  }

  /** Has the browser remember those that were chosen. */
  save(alive) {
    if (!this.#isNew) return;
    this.#isNew = false;
    if (this.#known.size > KEPT) {
      const there = alive();
      for (const name of this.#known.keys()) {
        if (this.#known.size <= KEPT) break;
        if (!there.has(name)) this.#known.delete(name);
      }
    }
    this.#memory.write(JSON.stringify([...this.#known]));
  }
}
