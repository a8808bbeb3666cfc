"""Exercises: one source each, read here, checked here.

An exercise is one MyST file, ``book/<part>/<chapter>-exercises/<id>.md``. The page, the downloaded
notebook, `check` and an instructor's assignment are all made from it.

The file::

    ---
    id: relu                      # the name of the file, and of the exercise everywhere
    title: ReLU, forward and backward
    type: C                       # P predict, C code, T trace table, D derivation, E experiment, B bug hunt
    points: 4
    minutes: 15
    difficulty: 1                 # 1 gentle, 2 moderate, 3 hard
    tags: [op, elementwise]       # optional, free words
    answer: [ReLU]                # names that the answer defines, handed to check in this order
    solution: public              # or instructor: then no public file holds it
    hints:                        # three or more, of rising strength
      - Which entries of the input reach the output unchanged?
      - ...
      - ...
    mistakes:                     # wrong answers that readers really give; four or more for type C
      - name: forgets-the-incoming-gradient
        message: The incoming gradient `goutput` is missing from the result.
        answer: |
          class ReLU(mg.Op): ...
    ---
    The statement.

and below the statement its cells, fenced as ```` ```{code-cell} ```` with one tag each:

* ``:tags: [set-up]``: runs before everything else, out of sight (optional; ``np`` and ``mg`` are
  there already).
* ``:tags: [answer]``: the stub that the reader starts from. Its gaps are ``raise NotImplementedError``
  or ``...``; a gap still open is *not attempted*, never wrong.
* ``:tags: [solution]``: one right answer.
* ``:tags: [public-check]``: defines ``def probe(<the answers>)``, see below.
* ``:tags: [hidden-check]``: the same for an assignment only: `check` never runs it (optional).

Text after a line ``+++ {"tags": ["prose"]}`` is the place for an answer in words, graded by a person;
after ``+++ {"tags": ["solution"]}`` it is the model answer, or the remark under the solution. An exercise
answered only in words has ``answer: []`` and no code cells. Statement, hints and remarks are plain Markdown
with ``$`` mathematics: no directive, no role, no heading, so that they read the same on the page and in any
notebook. Messages of mistakes are plain text with `` `code` ``.

A probe is a generator. It yields what it looks at::

    def probe(ReLU):
        x = np.array([-2.0, 0.0, 3.0])
        yield "forward at (-2, 0, 3)", lambda: ReLU.forward({}, x), np.array([0.0, 0.0, 3.0])
        yield mg.gradcheck(ReLU, x)

* ``(what, got, expected)``, or with tolerances ``(what, got, expected, rtol, atol)``; 1e-6 and 1e-9 unless
  said. ``got`` is best a function without arguments: the checker calls it, so that an exception is told
  as the reader's, and an array of the probe (or of the set-up) changed in place is noticed and mended.
  Shapes must agree, and dtypes where both are arrays. ``expected`` may be a number, an array, a string, a
  tuple, a list or a dict; never compute it from the reader's own results.
* ``report`` or ``(what, report)``: what `mg.gradcheck` returns, or a function that returns it.

The first thing that is not right decides. A mistake is recognised by its behaviour: the probe looks at every
named mistake too, and the one that agrees longest with the reader's answer, the first wrong result included,
gives the message. So a probe must look at enough to tell the mistakes apart, and must be deterministic
(seed its random numbers).
"""

import ast
import copy
import difflib
import html
import re
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

BOOK = Path(__file__).resolve().parents[1] / "book"  # where the sources lie in a working copy
TYPES = {
    "P": "predict",
    "C": "code",
    "T": "trace table",
    "D": "derivation",
    "E": "experiment",
    "B": "bug hunt",
}
LEVELS = {1: "gentle", 2: "moderate", 3: "hard"}
CODE = ("set-up", "answer", "solution", "public-check", "hidden-check")
WORDS = {"prose": "prose", "solution": "remark"}  # tag of a text cell -> its name in Exercise.cells
SECRET = ("solution", "remark", "hidden-check")
KEYS = {
    "id": str,
    "title": str,
    "type": str,
    "points": int,
    "minutes": int,
    "difficulty": int,
    "answer": list,
    "solution": str,
    "hints": list,
}
CELL = re.compile(
    r"^(?P<fence>`{3,})\{code-cell\}[^\n]*\n(?P<options>(?::[^\n]*\n)*)(?P<code>.*?)^(?P=fence)`*[ \t]*$\n?"
    r"|^\+\+\+[ \t]*(?P<meta>\{[^\n]*\})?[ \t]*$\n?",
    re.M | re.S,
)
_registered, _attempts, _offered = {}, {}, set()


class ExerciseError(ValueError):
    """An exercise that is not there, or whose source is not well formed."""


# Reading a source ---------------------------------------------------------------------------------


@dataclass
class Exercise:
    """One exercise as its file says it; `cells` maps the name of each cell to its text."""

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
    cells: dict = field(default_factory=dict, repr=False)
    public: str = field(default="", repr=False)  # the source without solution and hidden check

    def facts(self):
        """The line under the title, in words: type, time, difficulty, points."""
        points = f"{self.points} point" + "s" * (self.points != 1)
        minutes = f"about {self.minutes} minutes"
        return f"{TYPES[self.type].capitalize()} · {minutes} · {LEVELS[self.difficulty]} · {points}"

    def check_line(self):
        """What the reader types to have the answer checked."""
        return f"check({', '.join([repr(self.id).replace(chr(39), chr(34)), *self.answer])})"

    def markdown(self):
        """Statement and hints for a notebook: each hint is folded inside the one before it."""
        folded = ""
        for number, hint in reversed(list(enumerate(self.hints, 1))):
            summary = f"<details><summary>Hint {number} of {len(self.hints)}</summary>"
            folded = f"{summary}\n\n{hint.strip()}\n\n{folded}</details>\n\n"
        return f"### {self.title}\n\n*{self.facts()}*\n\n{self.cells['statement']}\n\n{folded}".rstrip()

    def _repr_markdown_(self):
        return self.markdown()

    def __repr__(self):
        hints = "\n".join(f"Hint {n}: {hint.strip()}" for n, hint in enumerate(self.hints, 1))
        return f"{self.title}\n{self.facts()}\n\n{self.cells['statement']}\n\n{hints}"

    def namespace(self):
        """A fresh namespace: NumPy, minigrad and what the set-up cell defines."""
        import minigrad

        names = {"np": np, "mg": minigrad, "__name__": "exercise"}
        exec(compile(self.cells.get("set-up", ""), f"<set-up of {self.id}>", "exec"), names)
        return names

    def answers(self, source):
        """The answers that `source` defines, in the order of `answer`."""
        names = self.namespace()
        exec(compile(source, f"<answer to {self.id}>", "exec"), names)
        return [names[name] for name in self.answer]

    def observe(self, answers, which="public-check"):
        """What the probe of the cell `which` sees in `answers`: a list of `Observation`."""
        names = self.namespace()
        exec(compile(self.cells[which], f"<{which} of {self.id}>", "exec"), names)
        return observe(names["probe"], answers)


def read(text, where="exercise", complete=True):
    """The exercise that `text` describes. Raises `ExerciseError`, with file and line, when it is not well
    formed. With `complete=False` the solution may be absent, as it is from a downloaded notebook."""
    import yaml

    head = re.match(r"---\n(.*?\n)---[ \t]*\n", text, re.S)
    if not head:
        raise ExerciseError(f"{where}:1: no front matter; an exercise starts with --- and its keys")
    try:
        front = yaml.safe_load(head[1])
    except yaml.YAMLError as error:
        line = error.problem_mark.line + 2 if getattr(error, "problem_mark", None) else 1
        problem = getattr(error, "problem", error)
        raise ExerciseError(f"{where}:{line}: the front matter is not YAML: {problem}") from None
    _validate_front(front, where)
    cells, public, tag = {}, [head[0]], "statement"

    def add(name, source, start, original):
        if name in CODE:
            try:
                ast.parse(source)
            except SyntaxError as error:
                line = text.count("\n", 0, start) + error.lineno
                raise ExerciseError(f"{where}:{line}: {name} cell: {error.msg}") from None
        if source.strip():
            cells[name] = "\n\n".join(filter(None, [cells.get(name), source.strip("\n")]))
        if name not in SECRET:
            public.append(original)

    place, mark = head.end(), ""
    for cell in CELL.finditer(text, place):
        add(tag, text[place : cell.start()], place, mark + text[place : cell.start()])
        line, place, mark = text.count("\n", 0, cell.start()) + 1, cell.end(), ""
        found = re.search(r"tags\W*\[([^\]]*)\]", cell["options"] or cell["meta"] or "")
        tags = re.findall(r"[\w-]+", found[1]) if found else []
        known = CODE if cell["fence"] else tuple(WORDS)
        if (len(tags) != 1 and (cell["fence"] or tags)) or not set(tags) <= set(known):
            given = f"the tags {tags}" if tags else "no tag"
            raise ExerciseError(f"{where}:{line}: a cell with {given}; one of {', '.join(known)}")
        if cell["fence"]:
            add(tags[0], cell["code"], cell.start("code"), cell[0])
            tag = "statement"
        else:
            tag, mark = (WORDS[tags[0]] if tags else "statement"), cell[0]
    add(tag, text[place:], place, mark + text[place:])
    made = Exercise(**front, cells=cells, public="".join(public))
    _validate(made, where, complete)
    return made


def _validate_front(front, where):
    """The keys of the front matter: all there, of the right kind, no other."""

    def refuse(problem):
        raise ExerciseError(f"{where}: {problem}")

    if not isinstance(front, dict):
        refuse("the front matter has no keys; it needs " + ", ".join(KEYS))
    if missing := [key for key in KEYS if key not in front]:
        refuse(f"missing from the front matter: {', '.join(missing)}")
    if strange := sorted(
        set(front) - set(Exercise.__dataclass_fields__) | set(front) & {"cells", "public"}
    ):
        refuse(f"unknown in the front matter: {', '.join(strange)}")
    for key, kind in [*KEYS.items(), ("mistakes", list), ("tags", list)]:
        if not isinstance(front.get(key, kind()), kind) or isinstance(front.get(key), bool):
            refuse(f"{key} is {front[key]!r}; it must be of type {kind.__name__}")
    for key, known in (
        ("type", TYPES),
        ("difficulty", LEVELS),
        ("solution", ("public", "instructor")),
    ):
        if front[key] not in known:
            refuse(f"{key} is {front[key]!r}; it must be one of {', '.join(map(str, known))}")
    if len(front["hints"]) < 3 or not all(isinstance(hint, str) for hint in front["hints"]):
        refuse(f"{len(front['hints'])} hints; write three or more texts of rising strength")
    for mistake in front.get("mistakes", []):
        if not isinstance(mistake, dict) or set(mistake) != {"name", "message", "answer"}:
            refuse(f"a mistake has name, message and answer; this one is {mistake!r:.80}")
    if front["type"] == "C" and len(front.get("mistakes", [])) < 4:
        refuse(f"{len(front.get('mistakes', []))} mistakes; a code exercise needs four or more")


def _validate(made, where, complete):
    """The cells: those that are needed are there, and they define what they must."""
    needed = ["statement", "answer", "public-check"] if made.answer else ["statement", "prose"]
    if complete:
        needed.append("solution" if made.answer else "remark")
    for name in needed:
        if name not in made.cells:
            tag = {"remark": "solution"}.get(name, name)
            raise ExerciseError(f"{where}: no {'text' if name == 'statement' else tag + ' cell'}")
    texts = [made.cells.get(name, "") for name in ("statement", "prose", "remark")] + made.hints
    for text in texts:
        text = re.sub(r"^(`{3,})[^{\n]*\n.*?^\1", "", text, flags=re.M | re.S)  # code is left alone
        if found := re.search(r"^(`{3,}|:{3,})\{.*|(?<!\$)\{[\w:-]+\}`[^`]*`|^#+ .*", text, re.M):
            raise ExerciseError(f"{where}: plain Markdown only, but here stands {found[0]!r:.60}")
    sources = [(name, made.cells.get(name)) for name in ("answer", "solution")]
    sources += [(f"mistake {m['name']}", m["answer"]) for m in made.mistakes]
    sources += [(name, made.cells.get(name)) for name in ("public-check", "hidden-check")]
    for name, source in sources:
        if source is None:
            continue
        try:
            missing = set(["probe"] if name.endswith("check") else made.answer) - _defined(source)
        except SyntaxError as error:
            raise ExerciseError(f"{where}: {name}, line {error.lineno}: {error.msg}") from None
        if missing:
            raise ExerciseError(f"{where}: {name} does not define {', '.join(sorted(missing))}")


def _defined(source):
    """The names that a piece of source defines at its top level."""
    names = set()
    for node in ast.parse(source).body:
        names |= {node.name} if hasattr(node, "name") else set()
        names |= {
            n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
    return names


# Finding an exercise ------------------------------------------------------------------------------


def sources(book=None):
    """All exercise files of the book: {id: path}. Raises `ExerciseError` when two share one id."""
    found = {}
    for path in sorted(Path(book or BOOK).glob("*/*-exercises/*.md")):
        if path.stem in found:
            raise ExerciseError(
                f"two exercises are called {path.stem}: {found[path.stem]} and {path}"
            )
        found[path.stem] = path
    return found


def find(id, book=None):
    """The exercise called `id`: a registered one, else the book's. Unknown: the nearest ids are listed."""
    if id in _registered:
        return _registered[id]
    files = sources(book)
    if id not in files:
        known = [*files, *_registered]
        near = difflib.get_close_matches(str(id), known, n=3, cutoff=0.4) or known[:8]
        raise ExerciseError(f"no exercise is called {id!r}. Nearest: {', '.join(near) or 'none'}.")
    made = read(files[id].read_text(encoding="utf-8"), where=files[id])
    if made.id != id:
        raise ExerciseError(
            f"{files[id]}: its id is {made.id!r}; it must be {id!r}, as the file is called"
        )
    return made


def register(text):
    """Make the exercise in `text` known to this session: how a downloaded notebook brings its own."""
    made = read(text, where="registered exercise", complete=False)
    _registered[made.id] = made


def exercise(id):
    """Show an exercise: its statement and its hints, folded one inside the other. In Jupyter the stub and
    the line that checks it are offered as the next cell."""
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


# Checking an answer -------------------------------------------------------------------------------


@dataclass
class Observation:
    """One thing that a probe looked at: what was got, and what is wrong with it (None when right)."""

    what: str
    got: object
    problem: str = None
    changed: tuple = ()

    def like(self, other):
        """Whether the same was seen there: equal values, the same kind of exception, the same report."""
        a, b = self.got, other.got
        if (self.what, self.changed) != (other.what, other.changed):
            return False
        if isinstance(a, Exception) or isinstance(b, Exception):
            return (type(a), str(a)) == (type(b), str(b))
        if hasattr(a, "mistake") and hasattr(b, "mistake"):
            return (bool(a), str(a)) == (bool(b), str(b))
        try:
            return difference(a, b) is None
        except Exception:  # values that can't be compared are not alike
            return False


@dataclass
class Report:
    """The outcome of a check: "right", "wrong" or "not attempted", with its explanation. True only when
    right. `mistake` is the name of the recognised mistake, or None."""

    outcome: str
    lines: list
    mistake: str = None

    def __bool__(self):
        return self.outcome == "right"

    def require(self):
        """Raise `AssertionError` with the explanation unless right: for a test cell."""
        if not self:
            raise AssertionError(str(self))

    def __str__(self):
        return "\n".join([f"{self.outcome.capitalize()}. {self.lines[0]}", *self.lines[1:]])

    __repr__ = __str__

    def _repr_html_(self):
        # The word carries the outcome; the colour of the edge (Okabe-Ito) only repeats it.
        edge = {"right": "#009E73", "wrong": "#D55E00"}.get(self.outcome, "#0072B2")
        lines = [re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(line)) for line in self.lines]
        body = "".join(f'<p style="margin: 0.25em 0">{line}</p>' for line in lines[1:])
        first = f'<p style="margin: 0"><strong>{self.outcome.capitalize()}.</strong> {lines[0]}</p>'
        style = f"border-left: 0.3em solid {edge}; padding: 0.3em 0.9em"
        return f'<div class="check-report" style="{style}">{first}{body}</div>'


def check(id, *answers):
    """Check `answers` (in the order that the exercise names them) and explain what was found.

    Returns a `Report`. Raises `ExerciseError` for an unknown exercise and `TypeError` for the wrong number of
    answers; whatever the answers themselves raise is told in the report."""
    made = find(id)
    if not made.answer:
        raise TypeError(
            f"{id} is answered in words: compare yours with its solution, or ask a reader"
        )
    if len(answers) != len(made.answer):
        wanted = f"{len(made.answer)} answer{'s' * (len(made.answer) > 1)}"
        raise TypeError(f"{id} takes {wanted}: {made.check_line()}; {len(answers)} given")
    seen = made.observe(answers)
    report = _judge(seen)
    if report.outcome == "wrong":
        _attempts[id] = _attempts.get(id, 0) + 1
        known = _recognise(made, seen)
        if known:
            report.mistake = known["name"]
            report.lines[1:] = [f"Likely cause: {known['message'].strip()}"]
        report.lines.append(_next_step(made, _attempts[id]))
    return report


def verify(probe, *answers):
    """Run a probe of your own over `answers`; raise `AssertionError` with the explanation unless right."""
    _judge(observe(probe, answers)).require()


def _judge(seen):
    """The report on a list of observations: the first that is not right decides."""
    if not seen:
        raise ExerciseError("the probe looked at nothing: it must yield at least once")
    bad = next((number for number, one in enumerate(seen) if one.problem), None)
    if bad is None:
        count = "1 observation agrees" if len(seen) == 1 else f"All {len(seen)} observations agree"
        return Report("right", [f"{count}."])
    so_far = f" What comes before it is right ({bad} of {bad} agree)." if bad else ""
    if _unwritten(seen[bad].got):
        return Report("not attempted", [f"{seen[bad].what}: nothing is written here yet.{so_far}"])
    lines = [f"{seen[bad].what}: {seen[bad].problem}"]
    diagnosis = next(
        (str(one.got) for one in seen if hasattr(one.got, "mistake") and not one.got), None
    )
    if diagnosis and diagnosis not in lines[0]:
        lines.append(f"The gradient check says: {diagnosis}")
    return Report("wrong", lines)


def _recognise(made, seen):
    """The named mistake that behaves longest like the reader's answer, and at least as far as the first
    thing that is wrong with it; None when there is no such mistake."""
    bad = next(number for number, one in enumerate(seen) if one.problem)
    found, longest = None, bad
    for mistake in made.mistakes:
        theirs = made.observe(made.answers(mistake["answer"]))
        differ = (number for number, (a, b) in enumerate(zip(seen, theirs)) if not a.like(b))
        alike = next(differ, min(len(seen), len(theirs)))
        if alike > longest:
            found, longest = mistake, alike
    return found


def _next_step(made, attempt):
    """What to do after the wrong answer number `attempt`: a stronger hint each time, then the solution."""
    hint = f"open hint {min(attempt, len(made.hints))}"
    if attempt == 1 or made.solution != "public":
        return f"Next: {hint}."
    folded = "the solution is folded under the exercise on its page"
    return f"Next: {hint}; {folded}." if attempt <= len(made.hints) else f"Next: {folded}."


def observe(probe, answers):
    """Everything that `probe` sees in `answers`: a list of `Observation`, ended by the first exception."""
    seen, steps = [], iter(())
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # nbgrader takes points off for a warning
        try:
            steps = probe(*answers)
            for step in steps:
                step = step if isinstance(step, tuple) else ("gradient check", step)
                seen.append(_look(*step, arrays=_arrays(steps, probe)))
                if isinstance(seen[-1].got, Exception):
                    break
        except Exception as error:
            seen.append(Observation("running your answer", error, _told(error)))
    return seen


def _look(what, got, *expected, arrays=()):
    """One observation. The arrays that the probe holds are compared with copies of themselves, and mended."""
    before = {name: array.copy() for name, array in arrays}
    try:
        got = got() if callable(got) and not hasattr(got, "mistake") else got
        problem = _problem(got, *expected)
        got = copy.deepcopy(got) if isinstance(got, (np.ndarray, list, tuple, dict)) else got
    except Exception as error:
        got, problem = error, _told(error)
    changed = []
    for name, array in arrays:
        if not np.array_equal(array, before[name], equal_nan=array.dtype.kind in "fc"):
            array[...] = before[name]
            changed.append(name)
    if changed:
        problem = f"your answer changed {', '.join(changed)} in place; work on a copy"
    return Observation(what, got, problem, tuple(changed))


def _arrays(steps, probe):
    """The arrays within a probe's reach: its local variables and those of the set-up."""
    frame = getattr(steps, "gi_frame", None)
    names = {**getattr(probe, "__globals__", {}), **(frame.f_locals if frame else {})}
    own = {name: a for name, a in names.items() if isinstance(a, np.ndarray) and a.flags.writeable}
    return [(name, array) for name, array in own.items() if not name.startswith("_")]


def _problem(got, expected=None, *tolerances):
    if hasattr(got, "mistake"):
        return None if got else str(got)
    if _unwritten(got):
        return "nothing is written here yet"
    if got is None and expected is not None:
        return "got None; is a return missing?"
    return difference(got, expected, *tolerances)


def _unwritten(got):
    if isinstance(got, (list, tuple, dict)):
        return any(_unwritten(one) for one in (got.values() if isinstance(got, dict) else got))
    return got is Ellipsis or isinstance(got, NotImplementedError)


def _told(error):
    """An exception in one line: where in the reader's code, and what."""
    frames = traceback.extract_tb(error.__traceback__)
    aside = (
        str(Path(__file__).parent),
        str(Path(np.__file__).parent),
        "<public-check",
        "<hidden-check",
    )
    own = [f for f in frames if not f.filename.startswith(aside)] or frames[-1:]
    line = (
        f" at line {own[-1].lineno}" + (f", `{own[-1].line}`" if own[-1].line else "")
        if own
        else ""
    )
    return f"your answer raised {type(error).__name__}{line}: {error}"


def difference(got, expected, rtol=1e-6, atol=1e-9):
    """How `got` differs from `expected`, told by one number with both values; None when it does not."""
    got, expected = getattr(got, "value", got), getattr(expected, "value", expected)
    if isinstance(expected, dict):
        if not isinstance(got, dict) or set(got) != set(expected):
            return f"got {_short(got)}, expected a dict with the keys {_short(list(expected))}"
        pairs = [(repr(key), got[key], expected[key]) for key in expected]
    elif isinstance(expected, (tuple, list)):
        if not isinstance(got, (tuple, list, np.ndarray)) or len(got) != len(expected):
            return f"got {_short(got)}, expected {len(expected)} values"
        pairs = [(number, *both) for number, both in enumerate(zip(got, expected))]
    else:
        return _leaf_difference(got, expected, rtol, atol)
    found = ((place, difference(a, b, rtol, atol)) for place, a, b in pairs)
    return next((f"in [{place}], {words}" for place, words in found if words), None)


def _leaf_difference(got, expected, rtol, atol):
    a, b = np.asarray(got), np.asarray(expected)
    if b.dtype.kind not in "iufc" or a.dtype.kind not in "biufc":
        same = a.shape == b.shape and bool(np.all(a == b))
        return None if same else f"got {_short(got)}, expected {_short(expected)}"
    if a.shape != b.shape:
        return f"got shape {a.shape}, expected shape {b.shape}"
    if isinstance(got, np.ndarray) and isinstance(expected, np.ndarray) and a.dtype != b.dtype:
        return f"got dtype {a.dtype}, expected dtype {b.dtype}"
    wrong = ~np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
    if not wrong.any():
        return None
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    where = f"at {list(place)} " if a.ndim else ""
    count = f" ({wrong.sum()} of {wrong.size} entries differ; shape {a.shape})" if a.ndim else ""
    return f"{where}got {a[place]:.8g}, expected {b[place]:.8g}{count}"


def _short(value):
    words = repr(value)
    return words if len(words) <= 60 else words[:57] + "..."


# On the page the solution runs in the chapter's own kernel, between these two -----------------------


def set_aside(names):
    """Remember what a namespace holds, so that an exercise can run in it and leave no trace."""
    _kept.append({key: value for key, value in names.items() if _own(key)})


def bring_back(names):
    """Give the namespace the names that it had at the last `set_aside`, and only those."""
    kept = _kept.pop()
    for key in [key for key in names if _own(key) and key not in kept]:
        del names[key]
    names.update(kept)


def _own(key):
    return not key.startswith("_") and key not in ("In", "Out", "exit", "quit")


_kept = []
