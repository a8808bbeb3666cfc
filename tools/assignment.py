"""Write an assignment out of the book's exercises: a notebook for students, one for the instructor.

    make assignment IDS="relu normalize"
    python tools/assignment.py relu normalize --name week-3 --output courses/spring

writes, in the folders where nbgrader looks for them,

    <output>/source/<name>/<name>.ipynb      the instructor's: solutions and hidden checks
    <output>/release/<name>/<name>.ipynb     the students': neither

Every cell carries nbgrader's metadata: statements are read-only, answers are editable, checks are
locked and bring points, answers in words are graded by hand. ``nbgrader generate_assignment`` makes
of the instructor's copy the same student version. A release is frozen once students have it, so an
existing one is never overwritten: the same exercises give the same files, and changed ones a new
version, ``<name>-2``.
"""

import argparse
import difflib
import itertools
import re
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
from exercise_rules import checked  # noqa: E402

from minigrad.exercises import ExerciseError, sources  # noqa: E402

# What stands in place of a solution in the students' version: nbgrader's own words.
CODE_STUB, TEXT_STUB = ["# YOUR CODE HERE", "raise NotImplementedError()"], ["YOUR ANSWER HERE"]
REGION = re.compile(r"^([ ]*)### BEGIN (SOLUTION|HIDDEN TESTS)\n.*?^[ ]*### END \2$", re.M | re.S)
GAP = re.compile(r"\s*(raise NotImplementedError.*|\.\.\.|#.*)?$")
HIDDEN_LABEL = "# A hidden check runs here when the assignment is graded."
SET_UP = """import numpy as np

import minigrad as mg
from minigrad.exercises import check, register, verify
"""


def instructors_notebook(exercises):
    """The assignment with solutions and hidden checks, as an `nbformat` notebook."""
    cells = [code("set-up", SET_UP + "\n".join(f"register({made.public!r})" for made in exercises))]
    cells[0].metadata["jupyter"] = {"source_hidden": True}
    for made in exercises:
        cells += exercise_cells(made)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def exercise_cells(made):
    """One exercise as nbgrader cells: statement, set-up, answer, checks, answer in words."""
    cells = [text(f"{made.id}-statement", made._repr_markdown_())]
    if "set-up" in made.cells:
        cells.append(code(f"{made.id}-set-up", made.cells["set-up"]))
    graded = []
    if made.answer:
        both = with_solution(made.cells["answer"], made.cells["solution"])
        cells.append(code(f"{made.id}-answer", both, solution=True, locked=False))
        graded.append(code(f"{made.id}-check", f"{made.check_line()}.require()", grade=True))
    if "hidden-check" in made.cells:
        verify = f"verify({', '.join(['probe', *made.answer])})"
        hidden = region("HIDDEN TESTS", [*made.cells["hidden-check"].split("\n"), "", verify])
        graded.append(code(f"{made.id}-hidden", "\n".join([HIDDEN_LABEL, *hidden]), grade=True))
    if "prose" in made.cells:
        model = region("SOLUTION", made.cells.get("remark", "").split("\n"))
        words = "\n".join([made.cells["prose"], "", *model])
        graded.append(text(f"{made.id}-words", words, grade=True, solution=True, locked=False))
    for number, cell in enumerate(graded):  # whole points, the first cells get what is left over
        share, over = divmod(made.points, len(graded))
        cell.metadata["nbgrader"]["points"] = share + (number < over)
    return cells + graded


def students_notebook(instructors):
    """The same notebook with every solution and hidden check cleared, as nbgrader would."""

    def clear(cell):
        def stub(found):
            if found[2] == "HIDDEN TESTS":
                return ""
            lines = CODE_STUB if cell.cell_type == "code" else TEXT_STUB
            return "\n".join(found[1] + line for line in lines)

        copy = nbformat.from_dict(cell)
        copy.source = REGION.sub(stub, copy.source).rstrip("\n")
        return copy

    cells = [clear(cell) for cell in instructors.cells]
    return new_notebook(cells=cells, metadata=instructors.metadata)


def with_solution(stub, solution):
    """The solution, with a region around what the stub leaves open. Where the two differ in more
    than the gaps of the stub, the stub stays whole and the solution follows it."""
    ours, theirs = stub.split("\n"), solution.split("\n")
    lines = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, ours, theirs, False).get_opcodes():
        gap = ours[a:b]
        if kind == "equal":
            lines += gap
        elif kind == "replace" and all(map(GAP.match, gap)) and any(map(str.strip, gap)):
            lines += region("SOLUTION", theirs[c:d], re.match(" *", gap[0])[0])
        else:
            return "\n".join([stub, "", *region("SOLUTION", theirs)])
    return "\n".join(lines)


def region(name, lines, indent=""):
    return [f"{indent}### BEGIN {name}", *lines, f"{indent}### END {name}"]


def code(id, source, **role):
    return new_code_cell(source, id=id, metadata=nbgrader(id, **role))


def text(id, source, **role):
    return new_markdown_cell(source, id=id, metadata=nbgrader(id, **role))


def nbgrader(id, grade=False, solution=False, locked=True):
    """nbgrader's metadata, version 3; read-only unless said."""
    role = dict(grade=grade, solution=solution, locked=locked, task=False)
    return {"nbgrader": {"schema_version": 3, "grade_id": id, **role}}


def write(instructors, output, name):
    """Write both versions under a name that is free, or holds exactly this. Returns what was done,
    in words."""
    versions = {"source": instructors, "release": students_notebook(instructors)}
    texts = {folder: nbformat.writes(notebook) + "\n" for folder, notebook in versions.items()}
    for version in itertools.count(1):
        called = name if version == 1 else f"{name}-{version}"
        paths = {folder: Path(output, folder, called, f"{called}.ipynb") for folder in texts}
        if not any(path.exists() for path in paths.values()):
            break
        if all(p.exists() and p.read_text(encoding="utf-8") == texts[f] for f, p in paths.items()):
            return f"{called} is there already, and the same: {paths['release']}"
    for folder, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[folder], encoding="utf-8")
    kept = (
        "" if version == 1 else f"The exercises have changed; {name} stays as students have it.\n"
    )
    return f"{kept}for students:        {paths['release']}\nfor the instructor:  {paths['source']}"


def main(arguments=None, book=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "ids", nargs="*", metavar="ID", help="exercises, in the order of the assignment"
    )
    parser.add_argument("--output", default="_build/assignments", help="the course's folder")
    parser.add_argument("--name", help="of the assignment; the ids joined if not given")
    given = parser.parse_args(arguments)
    try:
        if not given.ids:
            known = ", ".join(sources(book))
            raise ExerciseError(
                f'no exercise named. Try make assignment IDS="relu". There are: {known}'
            )
        if twice := sorted({id for id in given.ids if given.ids.count(id) > 1}):
            raise ExerciseError(f"named twice: {', '.join(twice)}. Name each exercise once.")
        exercises = [checked(id, book) for id in given.ids]
        name = given.name or "-".join(given.ids[:3]) + "-and-more" * (len(given.ids) > 3)
        if not re.fullmatch(r"[\w-]+", name):
            raise ExerciseError(f"{name!r} can't name an assignment: use letters, digits, - and _")
        print(write(instructors_notebook(exercises), given.output, name))
    except ExerciseError as error:
        sys.exit(f"assignment: {error}")
    except OSError as error:
        sys.exit(
            f"assignment: can't write to {given.output}: {error.strerror}. Choose another --output."
        )


if __name__ == "__main__":
    main()
