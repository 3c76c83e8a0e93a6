// The filter's words. Words of one kind are alternatives, different kinds and plain words must all
// hold, and a minus before a word turns it around.

const KINDS = new Set(["node", "service", "image", "label", "state"]);

function read(text) {
  const words = text.toLowerCase().match(/-?(?:[a-z]+:)?"[^"]*"|\S+/g) ?? [];
  return words.map((word) => {
    const not = word.length > 1 && word.startsWith("-");
    const rest = not ? word.slice(1) : word;
    const colon = rest.indexOf(":");
    const kind = rest.slice(0, Math.max(colon, 0));
    const known = KINDS.has(kind);
    const value = (known ? rest.slice(colon + 1) : rest).replaceAll('"', "");
    return { not, kind: known ? kind : "text", value };
  }).filter((word) => word.value !== "");
}

const HOLDS = {
  node: (value, _, node) => node.name.toLowerCase().includes(value) || node.state === value
    || node.availability === value || node.role === value || (value === "manager" && node.role === "leader"),
  service: (value, one) => one.service.toLowerCase().includes(value),
  image: (value, one) => one.image.toLowerCase().includes(value),
  label: (value, one, node) => one.pairs.some((pair) => pair.includes(value))
    || node.pairs.some((pair) => pair.includes(value)),
  state: (value, one) => one.state === value || one.health === value,
  text: (value, one, node) => one.text.includes(value) || node.name.toLowerCase().includes(value),
};

/** A filter over containers and nodes; `empty` when it leaves everything in. */
export function filter(text) {
  const words = read(text);
  const wanted = new Map();
  const unwanted = [];
  for (const word of words) {
    if (word.not) unwanted.push(word);
    else if (word.kind === "text") wanted.set(word, [word]);
    else wanted.set(word.kind, [...(wanted.get(word.kind) ?? []), word]);
  }
  const groups = [...wanted.values()];
  const holds = (word, one, node) => HOLDS[word.kind](word.value, one, node);
  const aboutNodes = words.length > 0 && words.every((word) => word.kind === "node");
  return {
    empty: words.length === 0,
    container: (one, node) => groups.every((group) => group.some((word) => holds(word, one, node)))
      && !unwanted.some((word) => holds(word, one, node)),
    /** Whether what is on no board is left in, such as a network: by name and labels. */
    object: (one) => {
      const name = one.name.toLowerCase();
      const pairs = Object.entries(one.labels).map(([key, value]) => `${key}=${value}`.toLowerCase());
      const has = ({ kind, value }) => (kind === "label" ? pairs.some((pair) => pair.includes(value)) : name.includes(value));
      const said = ({ kind }) => kind === "text" || kind === "label";
      return groups.filter(([word]) => said(word)).every((group) => group.some(has))
        && !unwanted.filter(said).some(has);
    },
    /** Whether a node is shown of which no container is left. */
    node: (node) => words.length === 0
      || (aboutNodes && groups.every((group) => group.some((word) => holds(word, null, node)))
        && !unwanted.some((word) => holds(word, null, node))),
  };
}
