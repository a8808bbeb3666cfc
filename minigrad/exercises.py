"""Exercises: one source each, read here, checked here.

An exercise is one MyST file, ``book/<part>/<chapter>-exercises/<id>.md``. The page, the downloaded
notebook, `check` and an instructor's assignment are all made from it.

The file::

    ---
    id: relu                      # the name of the file, and of the exercise everywhere
    title: ReLU, forward and backward
    type: C                       # P predict, C code, T trace table, D derivation, E experiment,
    points: 4                     # B bug hunt
    minutes: 15
    difficulty: 1                 # 1 gentle, 2 moderate, 3 hard
    tags: [op, elementwise]       # optional, free words
    covers: [V11, C2]             # optional: what it covers of the sources, see book/sources.yml
    page: false                   # optional: a P or T exercise that the page itself can't judge
    typed:                        # optional: numbers in the prose that are choices, and why
      0.01, 0.04: the nudges of the table
    computed:                     # optional: numbers in the prose that Python gives, and how
      0.055: 5.5 * 0.01
    answer: [ReLU]                # names that the answer defines, handed to check in this order
    solution: public              # or instructor: then no public file holds it
    hints:                        # three or more, of rising strength
      - Which entries of the input reach the output unchanged?
      - ...
      - ...
    mistakes:                     # wrong answers that readers give; four or more for type C
      - name: forgets-the-incoming-gradient
        message: The incoming gradient `goutput` is missing from the result.
        answer: |
          class ReLU(mg.Op): ...
    ---
    The statement.

and below the statement its cells, fenced as ```` ```{code-cell} ```` with one tag each:

* ``:tags: [set-up]``: runs before everything else, out of sight (optional; ``np`` and ``mg`` are
  there already).
* ``:tags: [answer]``: the stub that the reader starts from. Its gaps are
  ``raise NotImplementedError`` or ``...``; a gap still open is *not attempted*, never wrong.
* ``:tags: [solution]``: one right answer.
* ``:tags: [public-check]``: defines ``def probe(<the answers>)``, see below.
* ``:tags: [hidden-check]``: the same for an assignment only (optional); `check` never runs it.

Text after a line ``+++ {"tags": ["prose"]}`` is the place for an answer in words, graded by a
person; after ``+++ {"tags": ["solution"]}`` it is the model answer, or the remark under the
solution. An exercise answered only in words has ``answer: []`` and no code cells. Statement, hints
and remarks are plain Markdown with ``$`` mathematics: no directive, no role, no heading, so that
they read the same on the page and in any notebook. Messages of mistakes are plain text with
`` `code` ``.

A probe is a generator. It yields what it looks at::

    def probe(ReLU):
        x = np.array([-2.0, 0.0, 3.0])
        yield "forward at (-2, 0, 3)", lambda: ReLU.forward({}, x), np.array([0.0, 0.0, 3.0])
        yield lambda: mg.gradcheck(ReLU, x + 0.5)

* ``(what, got, expected)``, or with tolerances ``(what, got, expected, rtol, atol)``; 1e-6 and 1e-9
  unless said. ``got`` is best a function without arguments: the checker calls it, so that an
  exception is told as the reader's, and an array of the probe (or of the set-up) that was changed
  in place is noticed and mended. Shapes must agree, and dtypes where both are arrays. ``expected``
  may be a number, an array, a string, a tuple, a list or a dict; never compute it from the reader's
  own results.
* ``report`` or ``(what, report)``: what `mg.gradcheck` returns, or a function that returns it.

The first thing that is not right decides. A mistake is recognised by its behaviour: the probe looks
at every named mistake too, and the one that agrees longest with the reader's answer, the first
wrong result included, gives the message. So a probe must look at enough to tell the mistakes apart,
and must be deterministic (seed its random numbers).

`read` refuses what it cannot read; ``book/_ext/exercise_rules.py`` holds an exercise to all of this
when the book is built.
"""

import ast
import difflib
import html
import re
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

BOOK = Path(__file__).resolve().parents[1] / "book"  # where the sources lie in a working copy
TYPES = dict(P="predict", C="code", T="trace table", D="derivation", E="experiment", B="bug hunt")
LEVELS = {1: "gentle", 2: "moderate", 3: "hard"}
KEYS = "id title type points minutes difficulty answer solution hints".split()
OPTIONAL = ["mistakes", "tags", "covers", "page", "typed", "computed"]
CODE = ("set-up", "answer", "solution", "public-check", "hidden-check")
WORDS = {"prose": "prose", "solution": "remark"}  # tag of a text cell -> its name in Exercise.cells
SECRET = ("solution", "remark", "hidden-check")
MARKED = re.compile(r"`([^`]+)`|(?<!\w)\*(\w[^*`\n]*)\*(?!\w)")  # code, and *stress*
CELL = re.compile(
    r"^(?P<fence>`{3,})\{code-cell\}.*\n(?P<options>(?::.*\n)*)(?P<code>(?s:.*?))^(?P=fence)`*[ ]*$"
    r"|^\+\+\+[ ]*(?P<meta>\{[^\n]*\})?[ ]*$",
    re.M,
)
_registered, _attempts, _offered = {}, {}, set()


class ExerciseError(ValueError):
    """An exercise that is not there, or whose source is not well formed."""


# Reading a source ---------------------------------------------------------------------------------


@dataclass
class Exercise:
    """One exercise as its file says it; `cells` maps the name of each cell to its text, `public` is
    the source without solution and hidden check."""

    id: str
    title: str
    type: str
    points: int
    minutes: int
    difficulty: int
    answer: list
    solution: str
    hints: list
    mistakes: list = field(default_factory=list)
    tags: list = field(default_factory=list)
    covers: list = field(default_factory=list)
    page: bool = True
    typed: dict = field(default_factory=dict)
    computed: dict = field(default_factory=dict)
    cells: dict = field(default_factory=dict)
    public: str = ""

    def facts(self):
        """The line under the title, in words: type, time, difficulty, points."""
        points = f"{self.points} point" + "s" * (self.points != 1)
        kind, level = TYPES[self.type].capitalize(), LEVELS[self.difficulty]
        return f"{kind} · about {self.minutes} minutes · {level} · {points}"

    def check_line(self):
        """What the reader types to have the answer checked."""
        return f'check("{self.id}", {", ".join(self.answer)})'

    def _repr_markdown_(self):
        """Statement and hints for a notebook: each hint is folded inside the one before it."""
        folded = ""
        for number, hint in reversed(list(enumerate(self.hints, 1))):
            summary = f"<details><summary>Hint {number} of {len(self.hints)}</summary>"
            folded = f"{summary}\n\n{hint.strip()}\n\n{folded}</details>\n\n"
        text = f"### {self.title}\n\n*{self.facts()}*\n\n{self.cells['statement']}\n\n{folded}"
        return text.rstrip()

    def __repr__(self):
        return re.sub(r"</?(details|summary)>", "", self._repr_markdown_()).replace("\n\n\n", "\n")

    def answers(self, source):
        """The answers that `source` defines, in the order of `answer`."""
        names = self._run(source, "answer")
        return [names[name] for name in self.answer]

    def observe(self, answers, which="public-check"):
        """What the probe of the cell `which` sees in `answers`: a list of `Observation`."""
        return observe(self._run(self.cells[which], which)["probe"], answers)

    def _run(self, source, what):
        """The names that a source defines, after NumPy, minigrad and the set-up cell."""
        import minigrad

        names = {"np": np, "mg": minigrad, "__name__": "exercise"}
        exec(compile(self.cells.get("set-up", ""), f"<set-up of {self.id}>", "exec"), names)
        exec(compile(source, f"<{what} of {self.id}>", "exec"), names)
        return names


def read(text, where="exercise"):
    """The exercise that `text` describes; raises `ExerciseError` with file and line."""
    import yaml

    def refuse(offset, problem):
        raise ExerciseError(f"{where}:{text.count(chr(10), 0, offset) + 1}: {problem}")

    head = re.match(r"---\n(.*?\n)---[ ]*\n", text, re.S)
    if not head:
        refuse(0, "no front matter; an exercise starts with ---, its keys, and --- again")
    try:
        front = yaml.safe_load(head[1])
    except yaml.YAMLError as error:
        line = error.problem_mark.line + 2
        raise ExerciseError(f"{where}:{line}: this is not YAML: {error.problem}") from None
    given = front if isinstance(front, dict) else {}
    if missing := [key for key in KEYS if key not in given]:
        refuse(0, f"missing from the front matter: {', '.join(missing)}")
    if unknown := sorted(set(given) - {*KEYS, *OPTIONAL}, key=str):
        may = ", ".join([*KEYS, *OPTIONAL])
        refuse(0, f"unknown in the front matter: {unknown}; it may have {may}")

    cells, public, name, place = {}, head[0], "statement", head.end()

    def keep(name, source, original):
        nonlocal public
        if source.strip():
            cells[name] = "\n\n".join(filter(None, [cells.get(name), source.strip("\n")]))
        public += "" if name in SECRET else original

    mark = ""
    for cell in CELL.finditer(text, place):
        keep(name, text[place : cell.start()], mark + text[place : cell.start()])
        found = re.search(r"tags\W*\[([^\]]*)\]", cell["options"] or cell["meta"] or "")
        tags = re.findall(r"[\w-]+", found[1]) if found else []
        known = CODE if cell["fence"] else tuple(WORDS)
        if len(tags) > 1 or not set(tags) <= set(known) or (cell["fence"] and not tags):
            refuse(cell.start(), f"a cell has one tag of {', '.join(known)}; this one has {tags}")
        name, place, mark = "statement", cell.end(), ""
        if cell["fence"]:
            keep(tags[0], cell["code"], cell[0])
        else:
            name, mark = WORDS[tags[0]] if tags else name, cell[0]
    keep(name, text[place:], mark + text[place:])
    for name, source in cells.items():
        if name in CODE:
            try:
                ast.parse(source)
            except SyntaxError as error:
                line = sum(map(len, source.splitlines(True)[: error.lineno - 1]))
                refuse(text.find(source) + line, f"{name} cell: {error.msg}")
    return Exercise(**front, cells=cells, public=public)


# Finding an exercise ------------------------------------------------------------------------------


def sources(book=None):
    """All exercise files of the book: {id: path}. Two with one name raise `ExerciseError`."""
    found = {}
    for path in sorted(Path(book or BOOK).glob("*/*-exercises/*.md")):
        if path.stem in found:
            raise ExerciseError(
                f"two exercises share the id {path.stem}: {found[path.stem]}, {path}"
            )
        found[path.stem] = path
    return found


def find(id, book=None):
    """The exercise called `id`, registered or the book's. Unknown: the nearest ids are listed."""
    if id in _registered:
        return _registered[id]
    files = sources(book)
    if id not in files:
        known = [*files, *_registered]
        near = difflib.get_close_matches(str(id), known, n=3, cutoff=0.4) or known[:8]
        raise ExerciseError(f"no exercise is called {id!r}. Nearest: {', '.join(near) or 'none'}.")
    return read(files[id].read_text(encoding="utf-8"), where=files[id])


def register(text):
    """Make an exercise known to this session: how a downloaded notebook brings its own."""
    made = read(text, where="registered exercise")
    _registered[made.id] = made


def exercise(id):
    """Show an exercise: its statement and its hints, folded one inside the other. In Jupyter the
    stub and the line that checks it are offered as the next cell."""
    made = find(id)
    try:
        shell = get_ipython()  # IPython puts this name among the builtins
    except NameError:
        return made
    shell.ex(made.cells.get("set-up", ""))
    if made.answer and id not in _offered:
        _offered.add(id)
        shell.set_next_input(f"{made.cells['answer']}\n\n{made.check_line()}")
    return made


# Looking at an answer -----------------------------------------------------------------------------


@dataclass
class Observation:
    """One thing that a probe looked at: what was got, and the problem with it (None when right)."""

    what: str
    got: object
    problem: str = None

    def like(self, other):
        """Whether the same was seen there: equal values, the same exception, the same report."""
        a, b = self.got, other.got
        if self.what != other.what or (self.problem is None) != (other.problem is None):
            return False
        if isinstance(a, Exception) or hasattr(a, "mistake"):
            return (type(a), str(a)) == (type(b), str(b))
        if self.problem and "in place" in self.problem:
            return self.problem == other.problem
        return difference(a, b) is None


def observe(probe, answers):
    """Everything that `probe` sees in `answers`, up to the first exception."""
    seen = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # nbgrader takes points off for a warning
        try:
            steps = probe(*answers)
            for step in steps:
                step = step if isinstance(step, tuple) else ("gradient check", step)
                seen.append(_look(_arrays(steps, probe), *step))
                if isinstance(seen[-1].got, Exception):
                    break
        except Exception as error:
            seen.append(Observation("running your answer", error, _told(error)))
    return seen


def _look(arrays, what, got, *expected):
    """One observation. The probe's arrays are compared with copies of themselves, and mended."""
    before = {name: array.copy() for name, array in arrays.items()}
    try:
        got = got() if callable(got) else got
        got = _plain(got)
        problem = _problem(got, *expected)
    except Exception as error:
        got, problem = error, _told(error)
    changed = [n for n, array in arrays.items() if difference(array, before[n], 0, 0)]
    for name in changed:
        arrays[name][...] = before[name]
    if changed:
        problem = f"your answer changed {', '.join(changed)} in place; work on a copy"
    return Observation(what, got, problem)


def _arrays(steps, probe):
    """The arrays within a probe's reach: its local variables and those of the set-up."""
    frame = getattr(steps, "gi_frame", None)
    names = {**probe.__globals__, **(frame.f_locals if frame else {})}
    arrays = {n: a for n, a in names.items() if isinstance(a, np.ndarray) and a.flags.writeable}
    return {n: a for n, a in arrays.items() if not n.startswith("_")}  # _, _5: IPython's history


def _problem(got, expected=None, *tolerances):
    if hasattr(got, "mistake"):
        return None if got else getattr(got, "message", str(got))  # without the table of entries
    if _unwritten(got):
        return "nothing is written here yet"
    if got is None and expected is not None:
        return "got None; is a return missing?"
    return difference(got, expected, *tolerances)


def _plain(got):
    """The numbers themselves: nodes replaced by their values, arrays by copies."""
    got = getattr(got, "value", got)
    if isinstance(got, (list, tuple)):
        return [_plain(one) for one in got]
    if isinstance(got, dict):
        return {key: _plain(one) for key, one in got.items()}
    return got.copy() if isinstance(got, np.ndarray) else got


def _unwritten(got):
    if isinstance(got, (list, dict)):
        return any(map(_unwritten, got.values() if isinstance(got, dict) else got))
    return got is Ellipsis or isinstance(got, NotImplementedError)


def _told(error):
    """An exception in one line: where in the reader's code, and what."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = tuple(str(Path(file).parent) for file in (__file__, np.__file__)) + (
        "<public-",
        "<hidden-",
    )
    at = ([f for f in frames if not f.filename.startswith(ours)] or frames)[-1]
    line = f"at line {at.lineno}" + (f", `{at.line}`" if at.line else "")
    return f"your answer raised {type(error).__name__} {line}: {error}"


def difference(got, expected, rtol=1e-6, atol=1e-9):
    """How `got` differs from `expected`, by one number with both values; None when it does not."""
    if isinstance(expected, dict):
        if not isinstance(got, dict) or set(got) != set(expected):
            return f"got {_short(got)}, expected a dict with the keys {_short(list(expected))}"
        pairs = [(repr(key), got[key], expected[key]) for key in expected]
    elif isinstance(expected, (tuple, list)):
        if not isinstance(got, (tuple, list, np.ndarray)) or len(got) != len(expected):
            return f"got {_short(got)}, expected {len(expected)} values"
        pairs = [(number, got[number], expected[number]) for number in range(len(expected))]
    else:
        return _leaf_difference(got, expected, rtol, atol)
    found = ((place, difference(a, b, rtol, atol)) for place, a, b in pairs)
    return next((f"in [{place}], {words}" for place, words in found if words), None)


def _leaf_difference(got, expected, rtol, atol):
    arrays = isinstance(got, np.ndarray) and isinstance(expected, np.ndarray)
    try:
        a, b = np.asarray(got), np.asarray(expected)
    except (ValueError, TypeError):  # a ragged list, or a node or dual where a number belongs
        a, b = np.asarray(None), np.asarray(expected)
    if b.dtype.kind not in "iufc" or a.dtype.kind not in "biufc":
        same = a.shape == b.shape and bool(np.all(a == b))
        return None if same else f"got {_short(got)}, expected {_short(expected)}"
    if a.shape != b.shape:
        return f"got shape {a.shape}, expected shape {b.shape}"
    if arrays and a.dtype != b.dtype:
        return f"got dtype {a.dtype}, expected dtype {b.dtype}"
    wrong = ~np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
    if not wrong.any():
        return None
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    where = f"at {list(place)} " if a.ndim else ""
    count = f" ({wrong.sum()} of {wrong.size} entries differ; shape {a.shape})" if a.ndim else ""
    return f"{where}got {a[place]:.8g}, expected {b[place]:.8g}{count}"


def _short(value):
    return repr(value) if len(repr(value)) <= 60 else repr(value)[:57] + "..."


# Judging an answer --------------------------------------------------------------------------------


@dataclass
class Report:
    """The outcome of a check, "right", "wrong" or "not attempted", with its explanation. True only
    when right. `mistake` is the name of the recognised mistake, or None."""

    outcome: str
    lines: list
    mistake: str = None

    def __bool__(self):
        return self.outcome == "right"

    def require(self):
        """Raise `AssertionError` with the explanation unless right: for a test cell."""
        if not self:
            raise AssertionError(str(self))

    def __repr__(self):
        return "\n".join([f"{self.outcome.capitalize()}. {self.lines[0]}", *self.lines[1:]])

    def _repr_html_(self):
        # The word carries the outcome; the colour of the edge (Okabe-Ito) only repeats it.
        edge = {"right": "#009E73", "wrong": "#D55E00"}.get(self.outcome, "#0072B2")
        lines = html.escape("\n".join(self.lines)).replace("\n", "<br>")
        text = f"<strong>{self.outcome.capitalize()}.</strong> {lines}"
        text = MARKED.sub(_marked, text)
        style = f"border-left: 0.3em solid {edge}; padding: 0.3em 0.9em"
        return f'<div class="check-report" style="{style}">{text}</div>'


def _marked(found):
    code, stressed = found.groups()
    return f"<code>{code}</code>" if code else f"<em>{stressed}</em>"


def check(id, *answers):
    """Check `answers` (in the order that the exercise names them) and explain what was found.

    Returns a `Report`. Raises `ExerciseError` for an unknown exercise and `TypeError` for the wrong
    number of answers; whatever the answers themselves raise is told in the report."""
    made = find(id)
    if not made.answer:
        raise TypeError(f"{id} is answered in words: compare yours with its solution")
    if len(answers) != len(made.answer):
        raise TypeError(f"{len(answers)} answers given; the call is {made.check_line()}")
    seen = made.observe(answers)
    report = _judge(seen)
    if report.outcome == "wrong":
        _attempts[id] = _attempts.get(id, 0) + 1
        if known := _recognise(made, seen):
            report.mistake = known["name"]
            report.lines[1:] = [f"Likely cause: {known['message'].strip()}"]
        report.lines.append(_next_step(made, _attempts[id]))
    return report


def verify(probe, *answers):
    """Run a probe over `answers`; raise `AssertionError` with the explanation unless right."""
    _judge(observe(probe, answers)).require()


def _judge(seen):
    """The report on a list of observations: the first that is not right decides."""
    if not seen:
        raise ExerciseError("the probe looked at nothing: it must yield at least once")
    bad = next((number for number, one in enumerate(seen) if one.problem), None)
    if bad is None:
        agree = "1 observation agrees" if len(seen) == 1 else f"All {len(seen)} observations agree"
        return Report("right", [f"{agree}."])
    if _unwritten(seen[bad].got):
        so_far = f" What comes before it is right ({bad} of {bad} agree)." if bad else ""
        return Report("not attempted", [f"{seen[bad].what}: nothing is written here yet.{so_far}"])
    reports = [
        _problem(one.got) for one in seen[bad + 1 :] if hasattr(one.got, "mistake") and not one.got
    ]
    diagnoses = [f"The gradient check says: {report}" for report in reports]
    return Report("wrong", [f"{seen[bad].what}: {seen[bad].problem}", *diagnoses])


def _recognise(made, seen):
    """The named mistake that behaves longest like the reader's answer, and at least as far as the
    first thing that is wrong with it; None when there is no such mistake."""
    longest, found = next(number for number, one in enumerate(seen) if one.problem), None
    for mistake in made.mistakes:
        theirs = made.observe(made.answers(mistake["answer"]))
        both = list(zip(seen, theirs, strict=False))
        alike = next((number for number, (a, b) in enumerate(both) if not a.like(b)), len(both))
        if alike > longest:
            longest, found = alike, mistake
    return found


def _next_step(made, attempt):
    """What to do after a wrong answer: a stronger hint each time, then the solution as well."""
    hint = f"Next: open hint {min(attempt, len(made.hints))}"
    if attempt == 1 or made.solution != "public":
        return f"{hint}."
    return f"{hint}, or compare with the solution, folded under the exercise on its page."
