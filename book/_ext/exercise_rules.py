"""What an exercise must be before it may stand in the book; each rule says what is wrong.

`minigrad.exercises` tells the format and refuses what it cannot read. The rules here are the
author's: they hold when a page is built, when an assignment is written and in the tests.
"""

import ast
import re

from typed_numbers import in_exercise

from minigrad.exercises import CODE, LEVELS, TYPES, ExerciseError, find, sources

KINDS = dict(id=str, title=str, type=str, points=int, minutes=int, difficulty=int, answer=list)
KINDS |= dict(solution=str, hints=list, mistakes=list, tags=list, covers=list, page=bool)
KINDS |= dict(typed=dict, computed=dict)
NAMES = {list: "a list", dict: "a mapping"}
CHOICES = dict(type=TYPES, difficulty=LEVELS, solution=("public", "instructor"))
# A directive, a role, a heading: what a plain notebook would show as it is typed.
NOT_PLAIN = re.compile(r"^(?:`{3,}|:{3,})\{.*|(?<![`$\\\w])\{[a-z][\w:-]*\}`[^`]*`|^#+ .*", re.M)


def checked(id, book=None):
    """The exercise called `id`, held to every rule. Raises `ExerciseError` with what is wrong."""
    made, where = find(id, book), sources(book).get(id, id)
    problems = list(front_matter(made)) or list(cells(made)) or list(in_exercise(made))
    if made.id != id:
        problems.append(f"its id is {made.id!r}, but the file is called {id}.md")
    if problems:
        raise ExerciseError("\n".join(f"{where}: {problem}" for problem in problems))
    return made


def front_matter(made):
    """What is wrong with the keys."""
    for key, kind in KINDS.items():
        value = getattr(made, key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            yield f"{key} is {value!r}; expected {NAMES.get(kind, kind.__name__)}"
        elif key in CHOICES and value not in CHOICES[key]:
            yield f"{key} is {value!r}; expected one of {', '.join(map(str, CHOICES[key]))}"
    if not isinstance(made.hints, list) or not isinstance(made.mistakes, list):
        return
    if len(made.hints) < 3:
        yield f"hints: {len(made.hints)} given; write three or more, of rising strength"
    for hint in made.hints:
        if not isinstance(hint, str):
            yield f"the hint {hint!r:.60} is not a text; put it under `- >-`"
    for mistake in made.mistakes:
        if not isinstance(mistake, dict) or set(mistake) != {"name", "message", "answer"}:
            yield f"a mistake has name, message and answer; this one is {mistake!r:.80}"
    if made.type == "C" and len(made.mistakes) < 4:
        yield f"mistakes: {len(made.mistakes)} given; a code exercise needs four or more"


def cells(made):
    """What is wrong with the statement, the cells, and what they define."""
    if made.answer:
        needed = {name: f"cell tagged {name}" for name in ("answer", "solution", "public-check")}
    else:
        needed = {"prose": "text tagged prose", "remark": "text tagged solution, the model answer"}
    for name, words in {"statement": "statement", **needed}.items():
        if name not in made.cells:
            yield f"no {words}"
    for text in [
        made.cells.get(name, "") for name in ("statement", "prose", "remark")
    ] + made.hints:
        shown = re.sub(r"^(`{3,})[^{\n]*\n(?s:.*?)^\1", "", text, flags=re.M)  # code is left alone
        for found in NOT_PLAIN.findall(shown):
            yield f"statement, hints and remarks are plain Markdown; not so {found!r:.60}"
    code = {f"cell {name}": made.cells[name] for name in CODE[1:] if name in made.cells}
    code |= {f"mistake {mistake['name']}": mistake["answer"] for mistake in made.mistakes}
    for name, source in code.items():
        try:
            missing = ({"probe"} if name.endswith("-check") else set(made.answer)) - defined(source)
        except SyntaxError as error:
            yield f"{name}, its line {error.lineno}: {error.msg}"
        else:
            if missing:
                yield f"{name} does not define {', '.join(sorted(missing))}"


def defined(source):
    """The names that a piece of source defines at its top level."""
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            names.add(node.name)
        else:
            found = (n for n in ast.walk(node) if isinstance(n, ast.Name))
            names |= {n.id for n in found if isinstance(n.ctx, ast.Store)}
    return names
