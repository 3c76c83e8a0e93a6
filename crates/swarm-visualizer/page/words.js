// What things are called: states in words and shapes, so that no colour has to be told apart.

const REACHED = new Set(["healthy", "maintenance", "ready"]);

/** Whether what is known of a node's containers is of this moment. */
export const isReached = (node) => node !== undefined && (REACHED.has(node.state) || node.key === "~"
  // A node of a swarm whose leader has not heard of it yet goes on with what it has.
  || (node.role !== undefined && node.state !== "down"));

/** Whether a node does what it should, as far as is known. */
export const isWell = (node) => REACHED.has(node.state);

const NODE_SHAPES = {
  healthy: "●", ready: "●", maintenance: "◐", pending: "○", unknown: "○", unhealthy: "✕", down: "✕", disconnected: "–",
  waiting: "…",
};
export const nodeShape = (node) => NODE_SHAPES[node.state] ?? "?";

/** State and availability of a node. */
export function nodeWords(node) {
  const more = { pause: "cordoned", drain: "draining" }[node.availability];
  return [node.state, node.role, more].filter(Boolean).join(", ");
}

/** A task's states beside those that containers have too. */
const TASK_STATES = {
  new: ["○", "busy"], allocated: ["○", "busy"], pending: ["…", "busy"], assigned: ["○", "busy"], accepted: ["○", "busy"],
  preparing: ["◔", "busy"], ready: ["◑", "busy"], starting: ["△", "busy"], complete: ["■", "done"],
  shutdown: ["■", "done"], failed: ["✕", "bad"], rejected: ["✕", "bad"], remove: ["■", "done"], orphaned: ["?", "lost"],
};
/** What a task is to be, where that is another thing than to run. */
const ENDS = { shutdown: "to stop", remove: "to be removed" };

function stateOfTask(one) {
  const ends = ENDS[one.task.desired];
  if (one.state === "running") {
    if (ends !== undefined) return ["▽", `running, ${ends}`, "busy"];
    return stateOfRunning(one);
  }
  const [shape, kind] = TASK_STATES[one.state] ?? ["?", "lost"];
  const code = one.exitCode === undefined || one.exitCode === 0 ? "" : ` (${one.exitCode})`;
  const waits = one.state === "ready" && one.task.desired === "ready" ? ", waits" : "";
  return [shape, `${one.state}${code}${waits}`, kind];
}

function stateOfRunning(one) {
  if (one.health === "unhealthy") return ["▲", "running, unhealthy", "bad"];
  if (one.health === "starting") return ["△", "running, health starting", "busy"];
  return ["●", one.health === "healthy" ? "running, healthy" : "running", "good"];
}

/** Shape, words and class of the state of a container or a task. */
export function stateOf(container, node) {
  if (!isReached(node)) return ["?", `host down, was ${container.state}`, "lost"];
  if (container.task !== undefined) return stateOfTask(container);
  if (container.waits !== undefined) return ["◌", "waiting", "lost"];
  if (container.state === "running") return stateOfRunning(container);
  if (container.state === "exited") {
    const code = container.exitCode ?? 0;
    return code === 0 ? ["■", "exited (0)", "done"] : ["✕", `exited (${code})`, "bad"];
  }
  const others = {
    paused: ["‖", "paused", "busy"],
    restarting: ["↻", "restarting", "busy"],
    created: ["□", "created", "done"],
    removing: ["…", "removing", "busy"],
    dead: ["✕", "dead", "bad"],
  };
  return others[container.state] ?? ["?", container.state, "lost"];
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

/** Why a task or a container is not what it should be. */
export function troubleOf(one) {
  if (one.waits !== undefined) return one.waits;
  return one.task === undefined ? "" : one.task.error ?? "";
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
