// Reads a JSON array of jobs from standard input, runs each through the page's engine, writes the answers.
//   {"list": a Wengert list, "seeds": [a tangent for each input, ...], "cotangent": value}
//   {"text": an expression, "at": [numbers], "seeds": [...]}
//   {"text": an expression, "complex": [[real, imaginary], ...], "float32": boolean}: the outputs, complex and rounded
import { adjoints, dual, dump, evaluate, evaluateComplex, fromJSON, load, parse, tangents, toJSON } from "../../minigrad/widgets/engine.js";

let text = "";
for await (const chunk of process.stdin) text += chunk;

const all = (values) => values.map(toJSON);

function answer(job) {
  try {
    const list = job.text === undefined ? load(job.list) : parse(job.text, job.at);
    if (job.complex !== undefined) {
      const round = job.float32 ? Math.fround : undefined;
      const output = (values) => [values[list.outputs[0]]].flat().map(toJSON);
      const real = evaluate(list, job.complex.map(([re]) => re), round);
      return { complex: output(evaluateComplex(list, job.complex, round)), real: output(real) };
    }
    const values = evaluate(list);
    const back = adjoints(list, values, job.cotangent === undefined ? undefined : fromJSON(job.cotangent));
    const seeds = (job.seeds ?? []).map((seed) => seed.map(fromJSON));
    return {
      list: dump(list),
      values: all(values),
      tangents: seeds.map((seed) => all(tangents(list, values, seed))),
      duals: seeds.map((seed) => all(dual(list, undefined, seed).tangents)),
      adjoints: all(back.adjoints),
      contributions: back.contributions.map((parts) => parts.map(({ user, slot, value }) => [user, slot, toJSON(value)])),
    };
  } catch (error) {
    return { error: error.message, kind: error.name, position: error.position ?? null, length: error.length ?? null };
  }
}

process.stdout.write(JSON.stringify(JSON.parse(text).map(answer)));
