"""No number in the prose that a cell could have computed: the build finds those that were typed.

A typed number is right on the day it is typed. So numbers in the prose come from cells, by
{glue:text}, and the rest are the author's choices (a step, a point, a shape), said to be so by a
comment somewhere in the same file, with the reason:

    % typed 0.01, 1e-6: the nudges that the reader is asked to make

Not asked about: whole numbers up to twelve, years, what stands in code or in names such as
float32, and in formulas all but decimal fractions.
"""

import re
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.front_matter import front_matter_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin
from mdit_py_plugins.myst_role import myst_role_plugin
from sphinx.util import logging

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
