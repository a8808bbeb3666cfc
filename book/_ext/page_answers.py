"""Answers typed into the page: the form of a P, T or B exercise, made from the exercise's own file.

The stub that a notebook offers has a gap, `...`, wherever the reader is to write something. On the
page each gap is a field. What belongs there is computed, by running the solution when the page is
built; so is what each named mistake would have written, and its message comes when a reader writes
the same. `_static/page_answers.js` compares; nothing leaves the page.

`form(made)` is the form as HTML, or None where a page can't judge: no gaps, or code beside them,
an instructor's solution, or `page: false` in the front matter (the right answer depends on another
answer, say).
"""

import ast
import html
import json
import re
from dataclasses import dataclass

import numpy as np

QUOTED = re.compile(r'"([^"]*)"')


@dataclass
class Gap:
    """One field: the name of its answer, its own label, what is right, what to choose from."""

    group: str
    label: str
    path: tuple
    expected: object
    choices: list


def form(made):
    """The form of an exercise, as HTML; None where there is none to make."""
    if made.type not in "PTB" or not made.answer or made.solution != "public" or not made.page:
        return None
    found = list(gaps(made))
    if {gap.group for gap in found} != set(made.answer):
        return None
    if any(not _flat(gap.expected) for gap in found):
        return None
    return _html(made, found)


def gaps(made):
    """The gaps of the stub, in the order in which they stand there."""
    solution = dict(zip(made.answer, made.answers(made.cells["solution"]), strict=True))
    stub = made.cells["answer"]
    for statement in ast.parse(stub).body:
        if not isinstance(statement, ast.Assign):
            continue
        target, value = statement.targets[0], statement.value
        names, values = [target], [value]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            names, values = target.elts, value.elts
        for name, node in zip(names, values, strict=True):
            if name.id in solution:
                yield from _walk(made, node, solution[name.id], name.id, (name.id,), name.id)


def _walk(made, node, value, group, path, label):
    lines = made.cells["answer"].splitlines()
    if isinstance(node, ast.Constant) and node.value is Ellipsis:
        comment = lines[node.lineno - 1][node.end_col_offset :].partition("#")[2]
        yield Gap(group, label, path, value, _choices(made, value, comment))
    elif isinstance(node, ast.Dict):
        for key, inside in zip(node.keys, node.values, strict=True):
            key = ast.literal_eval(key)
            yield from _walk(made, inside, value[key], group, (*path, key), str(key))
    elif isinstance(node, ast.List | ast.Tuple):
        above = [line for line in lines[: node.lineno - 1] if line.strip().startswith("#")]
        heads = above[0].strip("# ").split() if above else []
        heads = (
            heads if len(heads) == len(node.elts) else [f"{i + 1}" for i in range(len(node.elts))]
        )
        for place, (inside, head) in enumerate(zip(node.elts, heads, strict=True)):
            yield from _walk(made, inside, value[place], group, (*path, place), head)


def _choices(made, value, comment):
    """What a reader may choose from, where the answer is a word; nothing where it is a number."""
    if isinstance(value, bool):
        return ["True", "False"]
    if not isinstance(value, str):
        return []
    if quoted := QUOTED.findall(comment):
        return quoted
    letters = dict.fromkeys(re.findall(r"\(([a-f])\)", made.cells["statement"]))
    if value in letters:
        return list(letters)
    return sorted({word for word in QUOTED.findall(made.cells["solution"])})


def _flat(value):
    """What was expected, as the script compares it: a word, or a list of numbers."""
    if isinstance(value, str | bool):
        return str(value)
    try:
        numbers = np.asarray(getattr(value, "value", value), dtype=float).ravel()
    except (TypeError, ValueError):
        return None
    return [float(number) for number in numbers] if np.isfinite(numbers).all() else None


def _at(answers, path):
    try:
        value = answers[path[0]]
        for key in path[1:]:
            value = value[key]
        return _flat(value)
    except (KeyError, IndexError, TypeError):
        return None


def _html(made, found):
    mistakes = []
    for mistake in made.mistakes:
        answers = dict(zip(made.answer, made.answers(mistake["answer"]), strict=True))
        values = [_at(answers, gap.path) for gap in found]
        mistakes.append({"message": mistake["message"].strip(), "values": values})
    data = {"id": made.id, "gaps": [_flat(gap.expected) for gap in found], "mistakes": mistakes}
    script = json.dumps(data).replace("</", "<\\/")
    groups = {}
    for number, gap in enumerate(found):
        groups.setdefault(gap.group, []).append(_field(made.id, number, gap))
    several = len(groups) > 1
    body = "".join(
        f"<fieldset{'' if several else ' class=only'}><legend>{html.escape(name)}</legend>"
        f"{''.join(fields)}</fieldset>"
        for name, fields in groups.items()
    )
    return (
        f'<form class="page-answers" aria-label="Your answer to: {html.escape(made.title)}" hidden>'
        f'<script type="application/json">{script}</script>{body}'
        '<p class="page-answers-buttons"><button type="submit">Check</button> '
        '<button type="reset">Clear</button></p><div class="page-answers-said" role="status"></div>'
        "</form>"
    )


def _field(id, number, gap):
    name = f"{id}-gap-{number}"
    if gap.choices:
        options = "".join(f"<option>{html.escape(word)}</option>" for word in gap.choices)
        field = f'<select id="{name}" data-gap><option value="">choose</option>{options}</select>'
    else:
        several = np.size(gap.expected) if not isinstance(gap.expected, str) else 1
        note = f' placeholder="{several}, with commas"' if several > 1 else ""
        field = f'<input id="{name}" data-gap inputmode="text" autocomplete="off"{note}>'
    return (
        f'<div class="gap"><label for="{name}">{html.escape(gap.label)}</label>{field}'
        f'<span class="verdict" id="{name}-verdict"></span></div>'
    )
