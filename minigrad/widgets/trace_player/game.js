/* The order game: in which order may the steps pass their adjoints on? A game is the list of the reader's moves, ids of
 * steps; what each move passed on is the engine's reverse mode, run in that order. Here are the rule and its words. */

import { adjoints } from "../engine.js";

/** The steps whose values reach the output, inputs included. */
function reaching(list) {
  const found = new Set(list.outputs);
  for (const { id, inputs } of [...list.steps].reverse()) if (found.has(id)) inputs.forEach((input) => found.add(input));
  return found;
}

/**
 * A game after `moves`: what has arrived where (`bar`, as `adjoints` gives it), the steps that take part, the users of each,
 * and for the last move what it held and which users it did not wait for. `over`: every step has had a turn.
 */
export function replay(list, values, moves) {
  const takesPart = reaching(list);
  const steps = list.steps.filter(({ id }) => takesPart.has(id)).map(({ id }) => id);
  const users = (id) => list.steps.filter((step) => takesPart.has(step.id) && step.inputs.includes(id)).map((step) => step.id);
  const after = (count) => adjoints(list, values, 1, moves.slice(0, count));
  const bar = after(moves.length);
  const held = moves.map((id, turn) => after(turn).adjoints[id]); // what each move passed on
  const right = adjoints(list, values).adjoints;
  return {
    bar,
    steps,
    users,
    held,
    right,
    missing: moves.map((id, turn) => users(id).filter((user) => !moves.slice(0, turn).includes(user))),
    over: steps.every((id) => moves.includes(id)),
    again: (id) => moves.slice(0, -1).includes(id),
    /** Steps that have passed on, and hold something else by now. */
    stale: steps.filter((id) => moves.includes(id) && !same(held[moves.lastIndexOf(id)], bar.adjoints[id])),
    correct: list.inputs.every(({ id }) => same(bar.adjoints[id], right[id])),
  };
}

const same = (a, b) => Object.is(a, b) || Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));

const listed = (words) => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`);

/** May this step move at all? A reason in words where it may not, else null. */
export function refusal(list, game, moves, id, name) {
  if (id < list.inputs.length) return `${name(id)} is an input: it collects, and has nobody to pass on to.`;
  if (!game.steps.includes(id)) return `${name(id)} never reaches the output: it is owed nothing, and takes no part.`;
  if (moves.includes(id) && !game.stale.includes(id)) return `${name(id)} has passed on all that it holds, and nothing has arrived since.`;
  return null;
}

/** What the last move did and, at the end, what came of it: {ok, move, end}; `ok` is whether the rule was kept. */
export function verdict(list, game, moves, name, format) {
  if (moves.length === 0) {
    return { ok: true, move: `The output ${name(list.outputs[0])} has the adjoint 1. Which step passes on first?`, end: "" };
  }
  const [id, missing, held] = [moves.at(-1), game.missing.at(-1), game.held.at(-1)];
  const users = game.users(id);
  const turn = moves.length - 1;
  const sent = game.bar.contributions.some((parts) => parts.some(({ user }) => user === id));
  const passed = sent ? `It passed on what it held, ${format(held)}, times its slopes` : "It held nothing, and passed on nothing";
  const sentences = [];
  if (game.again(id)) {
    const before = game.held[moves.lastIndexOf(id, turn - 1)];
    sentences.push(`${name(id)} passed on once more: all that it holds, ${format(held)}. In that is the ${format(before)} which it had passed on before, so that share has now gone back twice.`);
  } else if (missing.length > 0) {
    const [who, them] = [missing.length > 1 ? "users" : "user", missing.length > 1 ? "their shares come" : "its share comes"];
    sentences.push(`${name(id)} was not ready: its ${who} ${listed(missing.map(name))} had not passed on. ${passed}; ${them} too late.`);
  } else {
    const why = users.length === 0 ? "it is the output" : users.length === 1 ? `its only user, ${name(users[0])}, had passed on` : `all its users, ${listed(users.map(name))}, had passed on`;
    const short = same(held, game.right[id]) ? "" : ` But an earlier mistake has reached it: its adjoint should be ${format(game.right[id])}.`;
    sentences.push(`${name(id)} was ready: ${why}. ${passed}.${short}`);
  }
  const end = [];
  if (game.over) {
    const result = listed(list.inputs.map((input) => `${input.name} has the adjoint ${format(game.bar.adjoints[input.id])}`));
    const kept = game.missing.every((users) => users.length === 0) && new Set(moves).size === moves.length;
    if (game.correct) end.push(`All have passed on: ${result}. ${kept ? "That is right, and each step passed on once." : "That is right, though by luck: the rule was broken on the way."}`);
    else {
      const truth = listed(list.inputs.map((input) => format(game.right[input.id])));
      end.push(`All have had a turn: ${result}. The right answer is ${truth}.`);
      for (const late of game.stale) {
        end.push(`${name(late)} passed on ${format(game.held[moves.lastIndexOf(late)])} and holds ${format(game.bar.adjoints[late])} now. Would it help to let it pass on once more? Try, or undo.`);
      }
      if (game.stale.length === 0) end.push("Undo, or start again.");
    }
  }
  return { ok: !game.again(id) && missing.length === 0, move: sentences.join(" "), end: end.join(" ") };
}
