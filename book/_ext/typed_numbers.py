"""No number in the prose that a cell could have computed: the build finds those that were typed.

A typed number is right on the day it is typed. So numbers in the prose come from cells, by
{glue:text}, and the rest are the author's choices (a step, a point, a shape), said to be so by a
comment somewhere in the same file, with the reason:

    % typed 0.01, 1e-6: the nudges that the reader is asked to make

An exercise is read in plain notebooks too, where nothing is glued. Its numbers are its code's, or
its front matter accounts for them, see `in_exercise`.

Not asked about: whole numbers up to twelve, years, what stands in code or in names such as
float32, and in formulas all but decimal fractions.
"""

import ast
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
from markdown_it import MarkdownIt
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.front_matter import front_matter_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin
from mdit_py_plugins.myst_role import myst_role_plugin
from sphinx.util import logging

from minigrad.exercises import CODE

NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?:\s*×\s*10[⁻⁰¹²³⁴-⁹]+)?(?![\w])")
YEAR = re.compile(r"(?:1[6-9]|20)\d\d")
SMALL = {str(n) for n in range(13)} | {f"0{n}" for n in range(10)}

# Directives whose body is more prose. The bodies of all others are code, data or options.
PROSE = {
    "admonition", "attention", "dropdown", "figure", "hint", "important", "list-table", "margin",
    "note", "seealso", "tab-item", "tab-set", "tip", "warning",
}  # fmt: skip

PARSER = MarkdownIt("commonmark").enable("table").use(front_matter_plugin)
for plugin in amsmath_plugin, deflist_plugin, myst_block_plugin, myst_role_plugin:
    PARSER.use(plugin)
PARSER.use(colon_fence_plugin).use(dollarmath_plugin, allow_digits=True)


def typed_numbers(text):
    """[(line, number, where), ...]: numbers in the prose that no comment accounts for."""
    tokens = PARSER.parse(text)
    excused = set()
    for token in tokens:
        if token.type == "myst_line_comment":
            for numbers in re.findall(r"^\s*typed (.*?):\s+\S", token.content, re.M):
                excused.update(number.strip() for number in numbers.split(", "))
    return [found for found in _walk(tokens, 0) if found[1] not in excused]


def in_exercise(made):
    """What is wrong with the numbers in an exercise's prose: each stands in one of its code cells
    (or in a mistake's answer), or its front matter accounts for it, and for no other::

        typed:
          0.01, 0.04: the nudges, which the exercise chooses
        computed:
          0.0687: 1.716338 * 0.04       # Python, run after the solution: `miscomputed`
    """
    prose = {name: made.cells.get(name, "") for name in ("statement", "prose", "remark")}
    prose |= {f"hint {number}": hint for number, hint in enumerate(made.hints, 1)}
    prose |= {f"message of {mistake['name']}": mistake["message"] for mistake in made.mistakes}
    code = [made.cells.get(name, "") for name in CODE] + [m["answer"] for m in made.mistakes]
    quoted = {
        node.value
        for source in code
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float))
    }
    declared = [n for numbers in (*made.typed, *made.computed) for n in _split(numbers)]
    excused, seen = quoted.union(map(_value, declared)), set()
    for where, text in prose.items():
        for _, number, around in _walk(PARSER.parse(text), 0):
            seen.add(_value(number))
            if _value(number) not in excused:
                yield (
                    f"{where}: {number} is typed ({around!r}). Say in the front matter how it is "
                    f"computed, or, of a choice, why: see book/_ext/README.md, point 8"
                )
    for numbers, why in {**made.typed, **made.computed}.items():
        if why is None:
            yield f"{numbers} is declared without a reason"
    for number in declared:
        if _value(number) not in seen:
            yield f"{number} is declared in the front matter, but the prose does not have it"


def miscomputed(made):
    """Which of the numbers that an exercise calls computed are not what their Python gives."""
    for numbers, source in made.computed.items():
        names = made._run(made.cells.get("solution", ""), "solution")
        tree = ast.parse(str(source))
        last = ast.Expression(tree.body.pop().value)
        exec(compile(tree, f"<{numbers}>", "exec"), names)
        got = np.ravel(eval(compile(last, f"<{numbers}>", "eval"), names)).tolist()
        said = [Decimal(number.replace(",", "")) for number in _split(numbers)]
        half = [0.5001 * 10.0 ** number.as_tuple().exponent for number in said]  # of the last digit
        if len(got) != len(said) or any(
            not abs(abs(g) - float(s)) <= h for g, s, h in zip(got, said, half, strict=True)
        ):
            yield f"{numbers}: its Python gives {got}"


def _split(numbers):
    return str(numbers).split(", ")


def _value(number):
    try:
        return float(number.replace(",", ""))
    except ValueError:  # 3 × 10⁻⁸
        return number


def _walk(tokens, line):
    for token in tokens:
        here = line + (token.map[0] if token.map else 0)
        if token.type == "inline":
            yield from _inline(token.children, here + 1)
        elif token.type in ("math_block", "math_block_label", "amsmath"):
            yield from _decimals(token.content, here + 1)
        elif token.type in ("fence", "colon_fence"):
            directive = re.match(r"\{([\w:-]+)\}(.*)", token.info.strip())
            if directive and directive[1] in PROSE:
                options = re.match(r"(?::[\w-]+:.*\n)+", token.content)
                body = token.content[options.end() :] if options else token.content
                skipped = token.content.count("\n") - body.count("\n")
                yield from _walk(PARSER.parse(directive[2]), here)
                yield from _walk(PARSER.parse(body), here + 1 + skipped)


def _inline(tokens, line):
    for token in tokens:
        if token.type == "text":
            for match in NUMBER.finditer(token.content):
                number = match[0].rstrip(",")
                if number not in SMALL and not YEAR.fullmatch(number):
                    around = token.content[max(0, match.start() - 30) : match.end() + 20]
                    yield line, number, around.strip()
        elif token.type == "math_inline":
            yield from _decimals(token.content, line)
        elif token.type in ("softbreak", "hardbreak"):
            line += 1


def _decimals(formula, line):
    for match in NUMBER.finditer(formula):
        if "." in match[0]:
            yield line, match[0], formula.strip()[:60]


def check(app, docname, source):
    """Warn of each one, which fails the build. The file is read anew: what `source` holds of it may
    have an exercise's numbers in it by now, which are the exercise's to choose."""
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".md":
        for line, number, around in typed_numbers(path.read_text(encoding="utf-8")):
            logging.getLogger(__name__).warning(
                "%s is typed here (%r). Let a cell compute it and glue it in; if it is a choice of "
                "yours, say so in this file:  %% typed %s: why",
                number, around, number, location=(docname, line), type="typed_numbers",
            )  # fmt: skip


def setup(app):
    app.connect("source-read", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
