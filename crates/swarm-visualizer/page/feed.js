// The stream of the pool's changes, and its coming back after it broke.

const AGAIN = 1000;

/** Follows the pool for ever; `link` is told how the connection is, in words. */
export function follow(model, link) {
  let source;
  let last = "";
  let timer = 0;

  function open() {
    source = new EventSource(last === "" ? "api/stream" : `api/stream?at=${encodeURIComponent(last)}`);
    const on = (name, take) => source.addEventListener(name, (message) => {
      if (message.lastEventId !== "") last = message.lastEventId;
      take(JSON.parse(message.data));
    });
    on("begin", (data) => model.begin(data));
    on("part", (data) => model.part(data));
    on("ready", (data) => {
      model.ready(data);
      link("live");
    });
    on("change", (data) => model.change(data));
    on("events", (data) => model.happened(data));
    source.onopen = () => { if (last !== "") link("live"); };
    source.onerror = () => {
      link("reconnecting");
      // A browser gives up where it got an answer that is no stream, such as a proxy's own.
      if (source.readyState === EventSource.CLOSED) {
        clearTimeout(timer);
        timer = setTimeout(open, AGAIN);
      }
    };
  }

  open();
}
