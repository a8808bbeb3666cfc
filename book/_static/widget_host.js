// Hosts anywidgets on a page without a kernel. Each `.widget-place` element carries a JSON script: the widget's state
// as the executed chapter left it, and where its module is. The model below is the part of the Jupyter model
// that an anywidget may use; there is nobody to send messages to, so saving changes is enough for its own views.

function createModel(state) {
  const listeners = new Map();
  const fire = (event, ...details) => {
    for (const listener of [...(listeners.get(event) ?? [])]) listener(...details);
  };
  const model = {
    get: (name) => state[name],
    set(name, value) {
      if (typeof name === "object") {
        for (const [key, each] of Object.entries(name)) model.set(key, each);
        return;
      }
      if (state[name] === value) return;
      state[name] = value;
      fire(`change:${name}`, model, value);
      fire("change", model);
    },
    on(events, listener) {
      for (const event of events.split(" ")) {
        if (!listeners.has(event)) listeners.set(event, new Set());
        listeners.get(event).add(listener);
      }
    },
    off(events, listener) {
      if (!events) return listeners.clear();
      for (const event of events.split(" ")) {
        if (listener) listeners.get(event)?.delete(listener);
        else listeners.delete(event);
      }
    },
    save_changes() {},
    send() {},
    widget_manager: null,
  };
  return model;
}

// Binary values travel beside the JSON, in base64, with the path at which they belong.
function restoreBuffers(state, buffers) {
  for (const { path, data } of buffers) {
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    const holder = path.slice(0, -1).reduce((inner, key) => inner[key], state);
    holder[path.at(-1)] = new DataView(bytes.buffer);
  }
}

function loadStyles(addresses) {
  return Promise.all(
    addresses.map((address) => {
      if (document.querySelector(`link[href="${address}"]`)) return null;
      const link = document.createElement("link");
      link.rel = "stylesheet";
      link.href = address;
      return new Promise((done) => {
        link.onload = link.onerror = done;
        document.head.append(link);
      });
    }),
  );
}

function loadModule({ module, source }) {
  if (module) return import(new URL(module, document.baseURI));
  return import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
}

async function host(place) {
  const found = JSON.parse(place.querySelector("script").textContent);
  restoreBuffers(found.state, found.buffers);
  if (found.css) {
    const style = document.createElement("style");
    style.textContent = found.css;
    place.append(style);
  }
  const [loaded] = await Promise.all([loadModule(found), loadStyles(found.styles ?? [])]);
  const widget = typeof loaded.default === "function" ? await loaded.default() : loaded.default;
  const model = createModel(found.state);
  const el = document.createElement("div");
  const signal = new AbortController().signal;
  place.append(el);
  await widget.initialize?.({ model, signal });
  await widget.render?.({ model, el, signal });
  place.dataset.state = "ready";
}

// This module may be here before the page is: a figure further down is not yet in the document.
if (document.readyState === "loading") await new Promise((done) => document.addEventListener("DOMContentLoaded", done));
for (const place of document.querySelectorAll(".widget-place")) {
  host(place).catch((error) => {
    const message = document.createElement("p");
    message.className = "widget-failed";
    message.textContent = `This figure could not start (${error.message}). Reloading the page may help.`;
    place.append(message);
    place.dataset.state = "failed";
    console.error(error);
  });
}
