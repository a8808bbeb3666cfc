/* A chain of steps, run forwards and then backwards with some states kept: when each state is alive, and what is run twice.
 *
 * Step i + 1 takes state i to state i + 1; its backward needs state i, and goes from the last step to the first. A state that
 * is kept for that is a note. A checkpoint is a state kept so that the stretch behind it can be run again; run again, the
 * stretch writes notes of its own, and its first note is the checkpoint's state once more. One step takes one tick. */

export const PLANS = { all: "store all", every: "every k steps", sqrt: "every √L steps", recursive: "halve and halve again", own: "my own" };

/** The states that a plan keeps as checkpoints; null where it has none, or makes them as it goes. */
export function checkpointsOf({ plan, length, every, checkpoints }) {
  if (plan === "own") return [...new Set([0, ...checkpoints])].filter((state) => state >= 0 && state < length).sort((a, b) => a - b);
  if (plan !== "every" && plan !== "sqrt") return null;
  const distance = plan === "sqrt" ? Math.ceil(Math.sqrt(length)) : Math.max(1, every);
  return Array.from({ length: Math.ceil(length / distance) }, (_, i) => i * distance);
}

/**
 * What happens: `spans` [{state, kind, from, to}], `ticks` [{does, step}] with does "forward", "again" or "back", `alive`
 * [{checkpoints, notes}] after each tick (the first entry before any), `peak`, `again` (steps run twice or more) and `runs`.
 */
export function schedule(settings) {
  const { plan, length } = settings;
  const spans = [];
  const ticks = [];
  const open = new Map();
  const key = (state, kind) => `${kind} ${state}`;
  const hold = (state, kind) => open.set(key(state, kind), { state, kind, from: ticks.length });
  const release = (state, kind) => {
    spans.push({ ...open.get(key(state, kind)), to: ticks.length });
    open.delete(key(state, kind));
  };
  const tick = (does, step) => ticks.push({ does, step });

  /** Run steps from + 1 to `to` backwards; the note of each is there. */
  function back(from, to) {
    for (let step = to; step > from; step -= 1) {
      tick("back", step);
      release(step - 1, "note");
    }
  }

  /** Keep a note of each state of a stretch, running all its steps but the last again. */
  function reopen(from, to) {
    hold(from, "note");
    for (let step = from + 1; step < to; step += 1) {
      tick("again", step);
      hold(step, "note");
    }
  }

  /** The state `from` is a checkpoint: keep the state half-way too, finish what lies behind it, then what lies before it. */
  function halve(from, to, first) {
    if (to - from === 1) {
      if (first) tick("forward", to);
      hold(from, "note");
      back(from, to);
      return;
    }
    const middle = from + Math.ceil((to - from) / 2);
    for (let step = from + 1; step <= middle; step += 1) tick(first ? "forward" : "again", step);
    hold(middle, "checkpoint");
    halve(middle, to, first);
    release(middle, "checkpoint");
    halve(from, middle, false);
  }

  const cuts = checkpointsOf(settings);
  if (plan === "recursive") {
    hold(0, "checkpoint");
    halve(0, length, true);
    release(0, "checkpoint");
  } else {
    for (let step = 1; step <= length; step += 1) {
      if (cuts === null) hold(step - 1, "note");
      else if (cuts.includes(step - 1)) hold(step - 1, "checkpoint");
      tick("forward", step);
    }
    if (cuts === null) back(0, length);
    else {
      for (let i = cuts.length - 1; i >= 0; i -= 1) {
        const end = cuts[i + 1] ?? length;
        reopen(cuts[i], end);
        back(cuts[i], end);
        release(cuts[i], "checkpoint");
      }
    }
  }

  const alive = Array.from({ length: ticks.length + 1 }, () => ({ checkpoints: 0, notes: 0 }));
  for (const { kind, from, to } of spans) for (let t = from; t < Math.max(to, from + 1); t += 1) alive[t][kind === "note" ? "notes" : "checkpoints"] += 1;
  const again = ticks.filter(({ does }) => does === "again").length;
  return { spans, ticks, alive, peak: Math.max(...alive.map(({ checkpoints, notes }) => checkpoints + notes)), again, runs: length + again, checkpoints: cuts };
}
