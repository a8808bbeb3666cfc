"""The file of published results, and its rows for a page or a terminal.

from benchmarks.published import table

table.rows(table.read())            one dict for each result: what, target, reached, time
table.steps(table.read(), "lstm")   one dict for each change to the handout, with its effect
"""

import json
from pathlib import Path

import numpy as np

FORMAT, VERSION = "minigrad-published", 1
PATH = Path(__file__).resolve().parents[1] / "results" / "published.json"


def read(path=PATH):
    """The document that `make published` wrote. Raises FileNotFoundError or ValueError."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there are no results in {path.name} yet: `make published`")
    document = json.loads(path.read_text())
    if (document.get("format"), document.get("version")) != (FORMAT, VERSION):
        raise ValueError(f"{path.name} is no {FORMAT} of version {VERSION}: `make published`")
    return document


def write(document, path=PATH):
    """To a file beside it, then renamed: there is an old file or a new one, never half of one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(_rounded(document), indent=1, ensure_ascii=False) + "\n")
    part.replace(path)


def reached(result):
    """Which of the runs reached the target, within the time if there is a limit."""
    values = np.array(result["values"])
    good = values <= result["target"] if result["lower"] else values >= result["target"]
    return good & (np.array(result["cpu_seconds"]) <= (result["cpu_limit"] or np.inf))


def rows(document):
    """One dict of texts for each result, then one for each baseline; the columns are the keys."""
    found = []
    for result in document["results"]:
        limit = f" within {result['cpu_limit']:g} s" if result["cpu_limit"] else ""
        sign = "≤" if result["lower"] else "≥"
        good = reached(result)
        found.append(
            {
                "task": result["task"],
                "network": result["network"],
                "measure": result["measure"],
                "target": f"{sign} {result['target']:g}{limit}",
                "minigrad": spread(result["values"], 3 if result["lower"] else 4),
                "CPU seconds": spread(result["cpu_seconds"], 1),
                "reached": f"{good.sum()} of {len(good)} seeds",
            }
        )
    for baseline in document["baselines"]:
        found.append(
            {
                "task": document["results"][0]["task"],
                "network": baseline["name"],
                "measure": "test cross-entropy",
                "target": "",
                "minigrad": f"{baseline['cross_entropy']:.3f}",
                "CPU seconds": "",
                "reached": "a baseline",
            }
        )
    return found


def steps(document, network):
    """One dict of texts for each change to the handout's "mlp" or "lstm", one upon the other."""
    return [
        {
            "change": step["step"],
            "cross-entropy": spread(step["valid"], 3),
            "accuracy": spread(step["valid_accuracy"], 3),
            "CPU seconds": spread(step["cpu_seconds"], 1),
            "parameters": f"{step['parameters']:,}",
        }
        for step in document["steps"][network]
    ]


def spread(values, digits):
    """ "mean ± standard deviation", with so many digits behind the point."""
    sd = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{sd}"


def text(rows):
    """Rows as columns for a terminal."""
    cells = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


def _rounded(value):
    """Six digits say all that a result has to say."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(inside) for key, inside in value.items()}
    return [_rounded(inside) for inside in value] if isinstance(value, list) else value
