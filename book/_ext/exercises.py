"""Exercises on the page and in the downloaded notebook, both made from the exercise's own file.

A chapter brings an exercise in with one cell::

    ```{code-cell} ipython3
    :tags: [exercise]
    exercise("relu")
    ```

`expand` replaces that cell, before the page is parsed, by the statement, its hints (each folded
inside the one before), the stub, and the solution: folded, and run in the chapter's kernel when
the page is built. An instructor's solution is left out here, at the source, so it can reach no
page, index or cache.

`expand_notebook(nb)` does the same for a notebook that a reader downloads, without any solution:
call it on a chapter's `nbformat` notebook (``from exercises import expand_notebook``, with this
folder on the path). The format is told in `minigrad.exercises`, how to write one in README.md here.
"""

import re
from pathlib import Path

import nbformat
from docutils import nodes
from exercise_rules import checked
from page_answers import form
from sphinx.util import logging

from minigrad.exercises import CELL, ExerciseError, sources

logger = logging.getLogger(__name__)
# The solution runs in the chapter's own kernel, between these two, and leaves no name behind.
BEFORE = """_kept = dict(globals())
import numpy as np
import minigrad as mg
from minigrad.exercises import check
"""
AFTER = """for _name in [_name for _name in globals() if _name not in _kept and _name[0] != "_"]:
    del globals()[_name]
globals().update({_name: _value for _name, _value in _kept.items() if _name[0] != "_"})
"""
CALL = re.compile(r"""^exercise\(["']([^"']+)["']\)\s*$""", re.M)


def called(code, tagged):
    """The id of the exercise that a cell brings in; None for any other cell."""
    found = CALL.search(code)
    if tagged and not found:
        raise ExerciseError(
            f'a cell tagged exercise must call exercise("id"); it says {code!r:.60}'
        )
    if found and (not tagged or code.strip() != found[0].strip()):
        raise ExerciseError(f"{found[0]} must stand alone in a cell with :tags: [exercise]")
    return found[1] if found else None


def expand(text, book=None):
    """The MyST text of a chapter with each exercise written out."""
    done, place = [], 0
    for cell in CELL.finditer(text):
        tagged = bool(re.search(r"tags\W.*\bexercise\b", cell["options"] or ""))
        if cell["fence"] and (id := called(cell["code"], tagged)):
            level = heading_level(text[: cell.start()]) + 1
            done += [text[place : cell.start()], page(checked(id, book), level)]
            place = cell.end()
    return "".join(done) + text[place:]


def heading_level(text):
    """The level of the last heading in a text; lines of code that look like one don't count."""
    text = re.sub(r"^(`{3,}).*?^\1", "", text, flags=re.M | re.S)
    return len((re.findall(r"^(#{1,5}) ", text, re.M) or ["##"])[-1])


def page(made, level):
    """One exercise as MyST."""
    whole = repr(vars(made))
    ticks = max([2, *map(len, re.findall(r"`+", whole))])

    def block(kind, content, depth=1):
        fence = "`" * (ticks + depth)
        return f"{fence}{kind}\n{content.strip()}\n{fence}\n"

    hints = ""
    for number, hint in reversed(list(enumerate(made.hints, 1))):
        depth = len(made.hints) + 1 - number
        title = f"{{dropdown}} Hint {number} of {len(made.hints)}"
        hints = block(title, f"{hint.strip()}\n\n{hints}", depth)
    parts = [
        f"\n(exercise-{made.id})=",
        f"{'#' * level} {made.title}\n",
        block("{div} exercise-facts", made.facts()),
        f"% covers: {', '.join(made.covers)}\n" if made.covers else "",
        made.cells["statement"] + "\n",
        block("{raw} html", fields) if (fields := form(made)) else "",
        hints,
    ]
    if made.answer:
        parts.append(block("ipython3", f"{made.cells['answer']}\n\n{made.check_line()}"))
    return "\n".join([*parts, solution(made, block)]) + "\n"


def solution(made, block):
    """The folded solution: what follows the dropdown, up to the comment, is moved into it later."""
    if made.solution == "instructor":
        return block("{div} exercise-facts", "The solution is with the instructors.")
    parts = [block(f"{{dropdown}} Solution\n:class-container: exercise-solution {made.id}", "")]
    if made.answer:
        hidden = ":tags: [remove-cell]\n"
        parts += [
            block("{code-cell} ipython3", hidden + BEFORE + made.cells.get("set-up", "")),
            block("{code-cell} ipython3", made.cells["solution"]),
            block("{code-cell} ipython3", made.check_line()),
            block("{code-cell} ipython3", f"{hidden}assert {made.check_line()}\n{AFTER}"),
        ]
    parts.append(made.cells.get("remark", ""))
    return "\n".join([*parts, f"\n% end of solution {made.id}\n"])


def fold_solutions(app, doctree):
    """Move each solution into its dropdown. A cell written inside a directive would not run."""
    boxes = [box for box in doctree.findall(nodes.container) if "design_component" in box]
    for box in boxes:
        if "exercise-solution" not in box.get("container_classes", ()):
            continue
        rest = box.parent.children[box.parent.index(box) + 1 :]
        for node in rest:
            box.parent.remove(node)
            if node.tagname == "comment" and node.astext().startswith("end of solution"):
                break
            box += node


def expand_notebook(nb, book=None):
    """A notebook with each exercise written out as statement, stub and check, without its solution.
    One folded cell brings the public part of every exercise with it: only minigrad is needed."""
    cells, registered = [], []
    for cell in nb.cells:
        tagged = "exercise" in cell.metadata.get("tags", [])
        id = called(cell.source, tagged) if cell.cell_type == "code" else None
        if id:
            made = checked(id, book)
            registered += [f"register({made.public!r})"] if made.answer else []
            cells += notebook_cells(made)
        else:
            cells.append(cell)
    if registered:
        first = next(number for number, cell in enumerate(cells) if cell.cell_type == "code")
        source = "\n".join(["from minigrad.exercises import check, register", *registered])
        cells.insert(first, folded_cell("the-exercises", "# What check() needs to know\n" + source))
    nb.cells = cells
    return nb


def notebook_cells(made):
    """Statement with folded hints, set-up, stub and check line, as notebook cells."""
    new = nbformat.v4
    cells = [new.new_markdown_cell(made._repr_markdown_(), id=f"{made.id}-statement")]
    if "prose" in made.cells:
        cells.append(new.new_markdown_cell(made.cells["prose"], id=f"{made.id}-prose"))
    if "set-up" in made.cells:
        cells.append(folded_cell(f"{made.id}-set-up", made.cells["set-up"]))
    if made.answer:
        cells.append(new.new_code_cell(made.cells["answer"], id=f"{made.id}-answer"))
        cells.append(new.new_code_cell(made.check_line(), id=f"{made.id}-check"))
    return cells


def folded_cell(id, source):
    """A code cell whose source is folded away."""
    metadata = {"jupyter": {"source_hidden": True}, "tags": ["hide-input"]}
    return nbformat.v4.new_code_cell(source, id=id, metadata=metadata)


def on_source_read(app, docname, source):
    try:
        source[0] = expand(source[0], app.config.exercises_book)
        ids = re.findall(r"^\(exercise-([\w-]+)\)=$", source[0], re.M)
        for path in (sources(app.config.exercises_book)[id] for id in ids):
            app.env.note_dependency(str(Path(path).resolve()))
    except ExerciseError as error:
        logger.warning("%s", error, location=docname)


def setup(app):
    app.add_css_file("exercises.css")
    app.add_js_file("page_answers.js", type="module")
    app.add_config_value("exercises_book", None, "env")  # None: the book beside the package
    app.connect("source-read", on_source_read, priority=100)
    app.connect("doctree-read", fold_solutions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
