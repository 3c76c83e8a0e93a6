// What things are called: states in words and shapes, so that no colour has to be told apart.

const REACHED = new Set(["healthy", "maintenance"]);

/** Whether what is known of a node's containers is of this moment. */
export const isReached = (node) => node !== undefined && (REACHED.has(node.state) || node.key === "~");

const NODE_SHAPES = {
  healthy: "●", maintenance: "◐", pending: "○", unhealthy: "✕", down: "✕", disconnected: "–", waiting: "…",
};
export const nodeShape = (node) => NODE_SHAPES[node.state] ?? "?";

/** State and availability of a node. */
export function nodeWords(node) {
  const more = { pause: "cordoned", drain: "draining" }[node.availability];
  return more === undefined ? node.state : `${node.state}, ${more}`;
}

/** Shape, words and class of a container's state. */
export function stateOf(container, node) {
  if (!isReached(node)) return ["?", `host down, was ${container.state}`, "lost"];
  if (container.waits !== undefined) return ["…", "waiting", "lost"];
  if (container.state === "running") {
    if (container.health === "unhealthy") return ["▲", "running, unhealthy", "bad"];
    if (container.health === "starting") return ["△", "running, health starting", "busy"];
    return ["●", container.health === "healthy" ? "running, healthy" : "running", "good"];
  }
  if (container.state === "exited") {
    const code = container.exitCode ?? 0;
    return code === 0 ? ["■", "exited (0)", "done"] : ["✕", `exited (${code})`, "bad"];
  }
  const others = {
    paused: ["‖", "paused", "busy"],
    restarting: ["↻", "restarting", "busy"],
    created: ["○", "created", "done"],
    removing: ["…", "removing", "busy"],
    dead: ["✕", "dead", "bad"],
  };
  return others[container.state] ?? ["?", container.state, "done"];
}

export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (count >= 1024 && unit + 1 < units.length) {
    count /= 1024;
    unit += 1;
  }
  return `${count >= 100 || unit === 0 ? Math.round(count) : count.toFixed(1).replace(/\.0$/, "")} ${units[unit]}`;
}

export const cpus = (nano) => (nano / 1e9).toFixed(2).replace(/\.?0+$/, "");

/** How long ago, in one unit. */
export function ago(at, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export const clock = (at) => new Date(at).toLocaleTimeString([], { hour12: false });
export const date = (at) => new Date(at).toLocaleString([], { hour12: false });

/** An image's name without its registry's digest. */
export const imageName = (image) => image.replace(/@sha256:.*/, "");

/** The last move of a container, in a sentence. */
export function moveWords(moved) {
  const to = moved.to === undefined ? "" : ` to ${moved.to}`;
  return `moved from ${moved.from}${to}: ${moved.reason}`;
}

/** An event in a sentence, without its time. */
export function eventWords(event) {
  const what = event.type === "container" ? "" : `${event.type} `;
  const code = event.action === "die" && event.exitCode !== undefined ? ` (${event.exitCode})` : "";
  const way = event.from !== undefined && event.to !== undefined ? ` ${event.from} → ${event.to}` : "";
  const why = event.reason === undefined ? "" : `: ${event.reason}`;
  const words = event.action.replace(/^reschedule_/, "reschedule: ").replaceAll("_", " ");
  return `${what}${event.name || event.id.slice(0, 12)} ${words}${code}${way}${why}`;
}
