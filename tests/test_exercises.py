"""Every exercise of the book keeps its promises; so does the machinery, on made-up exercises."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

import minigrad as mg
from minigrad import exercises

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import exercise_rules  # noqa: E402
import exercises as on_the_page  # noqa: E402
from typed_numbers import miscomputed  # noqa: E402

SOURCES = exercises.sources()

HEAD = """---
id: {id}
title: The exercise {id}
type: {type}
points: {points}
minutes: 5
difficulty: 1
answer: {answer}
solution: {solution}
hints: [first hint, second hint, third hint]
"""
DOUBLE = (
    HEAD.format(id="double", type="C", points=3, answer="[double]", solution="public")
    + """mistakes:
  - name: squares
    message: You squared `x`; *double* it.
    answer: "def double(x): return x * x"
  - name: forgets-to-return
    message: There is no `return`.
    answer: "def double(x): x + x"
  - name: in-place
    message: The array that was passed is changed.
    answer: |
      def double(x):
          x *= 2
          return x
  - name: twice-the-first
    message: Only the first entry counted.
    answer: "def double(x): return x[0] + x[0]"
---
Write a function that doubles $x$.

```{code-cell} ipython3
:tags: [set-up]
start = np.array([1.0, 3.0])
```

```{code-cell} ipython3
:tags: [answer]
def double(x):
    raise NotImplementedError
```

```{code-cell} ipython3
:tags: [solution]
def double(x):
    return 2 * x  # twice
```

```{code-cell} ipython3
:tags: [public-check]
def probe(double):
    yield "double of (1, 3)", lambda: double(start), np.array([2.0, 6.0])
    x = np.array([-2.0, 0.5])
    yield "double of (-2, 0.5)", lambda: double(x), np.array([-4.0, 1.0])
    yield "their sum", lambda: double(x).sum(), -3.0
```

```{code-cell} ipython3
:tags: [hidden-check]
def probe(double):
    yield "double of 7", lambda: double(np.array(7.0)), 14.0
```
"""
)
PREDICT = (
    HEAD.format(id="guess", type="P", points=1, answer="[answer]", solution="public")
    + """---
What is the slope of $x^2$ at 3?

```{code-cell} ipython3
:tags: [answer]
answer = ...
```

```{code-cell} ipython3
:tags: [solution]
answer = 6.0
```

```{code-cell} ipython3
:tags: [public-check]
def probe(answer):
    yield "your slope", answer, 6.0
```
"""
)
WORDS = (
    HEAD.format(id="why", type="D", points=2, answer="[]", solution="public")
    + """---
Why is the slope of a constant zero?

+++ {"tags": ["prose"]}

Because:

+++ {"tags": ["solution"]}

It does not move: canary_remark.
"""
)
CANARY = (
    HEAD.format(id="secret", type="E", points=2, answer="[f]", solution="instructor")
    + """---
An instructor's exercise.

```{code-cell} ipython3
:tags: [answer]
f = ...
```

```{code-cell} ipython3
:tags: [solution]
def f(x):
    canary_solution = 2.0
    return canary_solution
```

+++ {"tags": ["solution"]}

canary_remark

```{code-cell} ipython3
:tags: [public-check]
def probe(f):
    if f is ...:
        yield "f", f
    yield "f of 1", lambda: f(1.0), 2.0
```

```{code-cell} ipython3
:tags: [hidden-check]
def probe(f):
    canary_hidden = 2.0
    yield "f of 5", lambda: f(5.0), canary_hidden
```
"""
)


def make_book(folder, *texts):
    """A book that holds these exercises, and nothing else."""
    place = folder / "book" / "part" / "chapter-exercises"
    place.parent.mkdir(parents=True, exist_ok=True)
    place = folder / "book" / "part" / "chapter-exercises"
    place.mkdir(exist_ok=True)
    for text in texts:
        name = re.search(r"^id: (.*)$", text, re.M)[1]
        (place / f"{name}.md").write_text(text, encoding="utf-8")
    return folder / "book"


@pytest.fixture(autouse=True)
def fresh_session(monkeypatch):
    """No attempts, nothing registered, nothing offered."""
    for name, empty in (("_registered", {}), ("_attempts", {}), ("_offered", set())):
        monkeypatch.setattr(exercises, name, empty)


@pytest.fixture
def sample(tmp_path, monkeypatch):
    """The made-up exercises as the book of this session."""
    monkeypatch.setattr(exercises, "BOOK", make_book(tmp_path, DOUBLE, PREDICT, WORDS, CANARY))
    return exercises.BOOK


# Every exercise of the book ---------------------------------------------


@pytest.mark.parametrize("id", SOURCES)
def test_the_solution_passes_and_the_stub_is_not_attempted(id):
    made = exercise_rules.checked(id)
    if not made.answer:
        return
    answers = made.answers(made.cells["solution"])
    assert exercises.check(id, *answers).outcome == "right", exercises.check(id, *answers)
    if "hidden-check" in made.cells:
        exercises._judge(made.observe(answers, "hidden-check")).require()
    assert exercises.check(id, *made.answers(made.cells["answer"])).outcome == "not attempted"


@pytest.mark.parametrize("id", [id for id in SOURCES if exercises.find(id).computed])
def test_a_number_that_is_called_computed_is_right(id):
    assert list(miscomputed(exercises.find(id))) == []


@pytest.mark.parametrize(
    "id, mistake", [(id, m["name"]) for id in SOURCES for m in exercises.find(id).mistakes]
)
def test_a_named_mistake_is_wrong_and_recognised(id, mistake):
    made = exercises.find(id)
    source = next(m["answer"] for m in made.mistakes if m["name"] == mistake)
    report = exercises.check(id, *made.answers(source))
    assert report.outcome == "wrong"
    assert report.mistake == mistake, report


@pytest.mark.parametrize("id", SOURCES)
def test_mistakes_of_an_exercise_have_names_of_their_own(id):
    names = [m["name"] for m in exercises.find(id).mistakes]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("id", SOURCES)
def test_each_exercise_is_used_once_by_its_own_chapter(id):
    folder = SOURCES[id].parent
    chapter = folder.with_name(folder.name.removesuffix("-exercises") + ".md")
    users = [
        path
        for path in (ROOT / "book").glob("[a-z]*/*.md")
        for call in on_the_page.CALL.findall(path.read_text(encoding="utf-8"))
        if call == id
    ]
    assert users == [chapter]


def test_the_book_has_exercises():
    assert {"relu", "normalize"} <= set(SOURCES)


def test_the_packages_own_ops_pass():
    from minigrad import solutions

    assert exercises.check("relu", solutions.ReLU)
    assert exercises.check("normalize", solutions.Normalize)


# Checking ---------------------------------------------


def test_right_wrong_and_not_attempted(sample):
    right = exercises.check("double", lambda x: x + x)
    assert right and right.outcome == "right" and "All 3" in str(right)
    wrong = exercises.check("double", lambda x: 3 * x)
    assert not wrong and wrong.outcome == "wrong" and wrong.mistake is None
    assert "double of (1, 3): at [0] got 3, expected 2" in str(wrong)
    assert "open hint 1" in str(wrong)
    assert exercises.check("guess", ...).outcome == "not attempted"
    assert exercises.check("guess", 6).outcome == "right"


def test_what_came_before_an_open_gap_is_told(sample):
    def double(x):
        if x[0] < 0:
            raise NotImplementedError
        return 2 * x

    assert "(1 of 1 agree)" in str(exercises.check("double", double))
    assert exercises.check("double", double).outcome == "not attempted"


def test_a_mistake_is_recognised_though_the_rest_differs(sample):
    """Right up to the first wrong result like the mistake, then worse: still that mistake first."""
    report = exercises.check("double", lambda x: x * x if x[0] > 0 else np.zeros(2))
    assert report.mistake == "squares" and "You squared `x`;" in str(report)
    told = report._repr_html_()
    assert "<code>x</code>" in told and "<em>double</em>" in told


def test_an_exception_is_told_in_one_line(sample):
    def double(x):
        return x.twice()

    report = exercises.check("double", double)
    assert "your answer raised AttributeError at line" in report.lines[0]
    assert "`return x.twice()`" in report.lines[0]
    assert "Traceback" not in str(report)


def test_a_change_in_place_is_found_and_mended(sample):
    def double(x):
        x += x
        return x.copy()

    first = exercises.check("double", double)
    assert "changed start in place" in str(first) and first.mistake == "in-place"
    x = np.array([1.0, np.nan])

    def probe(f):
        yield "f", lambda: f(x), 0.0
        yield "x afterwards", x.copy(), np.array([1.0, np.nan])

    seen = exercises.observe(probe, [lambda a: a.fill(7)])
    assert "in place" in seen[0].problem and seen[1].problem is None


def test_hints_rise_and_the_solution_follows_the_first_attempt(sample):
    said = [str(exercises.check("double", lambda x: 3 * x)) for _ in range(4)]
    assert ["hint 1" in said[0], "hint 2" in said[1], "hint 3" in said[3]] == [True] * 3
    assert "solution" not in said[0] and "solution" in said[1]
    said = [str(exercises.check("secret", lambda x: 3.0)) for _ in range(3)]
    assert "solution" not in said[2]


@pytest.mark.parametrize(
    "got, expected, words",
    [
        (1.0, 1.0 + 1e-8, None),
        (1.0, 1.00001, "got 1, expected 1.00001"),
        (np.zeros((2, 3)), np.zeros((3, 2)), "shape (2, 3), expected shape (3, 2)"),
        (np.zeros(2), np.zeros(2, np.float32), "dtype float64, expected dtype float32"),
        ([1, 2.0], np.array([1.0, 2.0]), None),
        (np.array([np.nan, 1]), np.array([np.nan, 1]), None),
        (np.array([np.inf, 1]), np.array([np.nan, 1]), "at [0] got inf, expected nan"),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, "in ['b'], got 2, expected 3"),
        ({"a": 1}, {"b": 1}, "expected a dict with the keys ['b']"),
        ((np.ones(2), 1), (np.ones(2), 2), "in [1], got 1, expected 2"),
        (np.ones(2), (1.0, 1.0, 1.0), "expected 3 values"),
        ("B", "B", None),
        ("A", "B", "got 'A', expected 'B'"),
        ("6", 6.0, "got '6', expected 6.0"),
        ([[1], [1, 2]], np.ones(2), "expected"),
        (object(), 1.0, "expected 1.0"),
    ],
)
def test_difference_in_words(got, expected, words):
    found = exercises.difference(got, expected)
    assert found is None if words is None else words in found


def test_tolerances_of_a_probe_are_kept():
    def probe(answer):
        yield "about pi", answer, np.pi, 1e-2

    assert exercises._judge(exercises.observe(probe, [3.14]))
    assert not exercises._judge(exercises.observe(probe, [3.2]))


def test_nodes_count_as_their_values():
    def probe(f):
        yield "f", lambda: f(mg.TensorNode(2.0)), 4.0
        yield "pair", lambda: (f(mg.TensorNode(2.0)), 1), (4.0, 1)

    assert exercises._judge(exercises.observe(probe, [lambda x: x * x]))


def test_a_gradient_check_lends_its_diagnosis():
    """Any report with a truth value and a `mistake` will do."""

    class Found(SimpleNamespace):
        __bool__ = lambda self: self.mistake is None
        __str__ = lambda self: f"the {self.mistake} is wrong"

    def probe(sign):
        yield "the value", sign, 1.0
        yield Found(mistake=None if sign == 1 else "sign")

    assert exercises._judge(exercises.observe(probe, [1.0]))
    wrong = exercises._judge(exercises.observe(probe, [-1.0]))
    assert "The gradient check says: the sign is wrong" in str(wrong)


def test_misuse_raises_and_says_what_to_do(sample):
    with pytest.raises(exercises.ExerciseError, match="Nearest: double"):
        exercises.check("doubel", 1)
    with pytest.raises(TypeError, match=r'the call is check\("double", double\)'):
        exercises.check("double")
    with pytest.raises(TypeError, match="answered in words"):
        exercises.check("why", 1)
    with pytest.raises(AssertionError, match="expected 14"):
        exercises.verify(lambda f: iter([("f", f, 14.0)]), 3.0)


# Showing ---------------------------------------------


def test_in_plain_python_the_statement_and_hints_are_printed(sample):
    shown = repr(exercises.exercise("double"))
    assert "doubles $x$" in shown and "first hint" in shown and "<details>" not in shown
    assert "return 2 * x" not in shown


def test_in_jupyter_the_stub_is_offered_once(sample, monkeypatch):
    names, offered = {"np": np}, []
    shell = SimpleNamespace(ex=lambda code: exec(code, names), set_next_input=offered.append)
    monkeypatch.setattr("builtins.get_ipython", lambda: shell, raising=False)
    shown = exercises.exercise("double")._repr_markdown_()
    exercises.exercise("double")
    assert offered == ['def double(x):\n    raise NotImplementedError\n\ncheck("double", double)']
    assert names["start"][1] == 3.0
    first, second = shown.index("<summary>Hint 1"), shown.index("<summary>Hint 2")
    assert first < second < shown.index("</details>")  # hint 2 is inside hint 1


def test_a_registered_exercise_needs_no_file_and_holds_no_secret(sample, monkeypatch):
    public = exercises.find("secret").public
    assert "canary" not in public
    assert "return 2 * x" not in exercises.find("double").public
    monkeypatch.setattr(exercises, "BOOK", ROOT / "nowhere")
    exercises.register(public)
    assert exercises.check("secret", lambda x: 2.0)
    assert not exercises.check("secret", lambda x: 3.0)


# Sources that are not well formed ---------------------------------------------


def broken(old, new, text=DOUBLE):
    assert old in text
    return text.replace(old, new)


WORDS_OF_DOUBLE = DOUBLE + '\n+++ {"tags": ["solution"]}\n\nThis is why it\n'


def declared(key, text="makes $x$ of 0.7"):
    """The exercise with a number in its statement, and a key that accounts for it, or does not."""
    return broken("doubles $x$", text, broken("points: 3", f"points: 3\n{key}"))


@pytest.mark.parametrize(
    "text",
    [
        declared("typed: {0.7: a choice}"),
        declared('typed: {"0.7, 1,400": choices}', "makes $x$ of 0.7 and 1,400"),
        declared('computed: {"0.70": 7 / 10}', "makes $x$ of 0.70"),
        broken("doubles $x$", "makes $x$ of 1.0, 14 and `0.7`"),  # in the set-up, in a check, code
    ],
)
def test_a_number_that_is_accounted_for_may_stand(text, tmp_path):
    made = exercise_rules.checked("double", make_book(tmp_path, text))
    assert list(miscomputed(made)) == []


@pytest.mark.parametrize(
    "numbers, python, fine",
    [
        ("0.667", "double(1) / 3", True),
        ("0.666", "2 / 3", False),
        ("0.7", "-2 / 3", True),  # the sign is the formula's
        ("1,333", "4000 / 3", True),
        ("1,300", "4000 / 3", False),
        ("0.67, 2", "(2 / 3, double(1))", True),
        ("0.67, 2", "2 / 3", False),
        ("0.7", "np.nan", False),
        ("2.0", "y = 4\ny / 2", True),
    ],
)
def test_what_is_called_computed_is_computed(numbers, python, fine):
    made = exercises.read(DOUBLE)
    made.computed = {numbers: python}
    assert (list(miscomputed(made)) == []) is fine


@pytest.mark.parametrize(
    "text, words",
    [
        ("no front matter", ":1: no front matter"),
        (broken("points: 3", "points: [3"), "double.md:6: this is not YAML"),
        (broken("points: 3\n", ""), "missing from the front matter: points"),
        (broken("points: 3", "points: 3\nscore: 2"), "unknown in the front matter: ['score']"),
        (broken("points: 3", "points: three"), "points is 'three'; expected int"),
        (broken("type: C", "type: Q"), "type is 'Q'; expected one of P, C"),
        (broken(", third hint", ""), "hints: 2 given"),
        (broken("squares\n    message", "squares\n    text"), "a mistake has name, message and"),
        (re.sub(r"  - name: squares(.|\n)*?(?=  - name)", "", DOUBLE), "mistakes: 3 given"),
        (broken("[hidden-check]", "[hidden]"), "this one has ['hidden']"),
        (broken(":tags: [solution]\n", ""), "this one has []"),
        (broken("    raise NotImplementedError", "  raise (")[:], "answer cell:"),
        (
            broken("def double(x):\n    raise", "def dubel(x):\n    raise"),
            "cell answer does not define",
        ),
        (broken("def double(x): return x * x", "y = 1"), "mistake squares does not define double"),
        (
            broken('def probe(double):\n    yield "double of 7', 'def prob(f):\n    yield "'),
            "define probe",
        ),
        (broken("Write a function", "# A heading"), "plain Markdown"),
        (broken("Write a function", "See {doc}`here`"), "plain Markdown"),
        (broken("id: double", "id: duble"), "the file is called double.md"),
        (broken("doubles $x$", "makes $x$ of 0.7"), "statement: 0.7 is typed"),
        (broken("third hint", "17 times"), "hint 3: 17 is typed"),
        (broken("You squared", "0.7 is"), "message of squares: 0.7 is typed"),
        (broken("why it\n", "0.7\n", WORDS_OF_DOUBLE), "remark: 0.7 is typed"),
        (broken("points: 3", "points: 3\ntyped: {0.7: a choice}"), "0.7 is declared in the front"),
        (
            broken("points: 3", "points: 3\ncomputed: [0.7]"),
            "computed is [0.7]; expected a mapping",
        ),
        (declared("typed: {0.7: }"), "0.7 is declared without a reason"),
    ],
)
def test_a_broken_source_is_told_where_and_why(text, words, tmp_path):
    book = make_book(tmp_path, DOUBLE)
    (book / "part/chapter-exercises/double.md").write_text(text)
    with pytest.raises(exercises.ExerciseError) as error:
        exercise_rules.checked("double", book)
    assert words in str(error.value) and "double.md" in str(error.value)


def test_a_line_number_is_the_line_of_the_error(tmp_path):
    text = broken("    return 2 * x  # twice", "    return 2 *")
    with pytest.raises(exercises.ExerciseError) as error:
        exercises.read(text, "double.md")
    line = int(re.match(r"double.md:(\d+):", str(error.value))[1])
    assert text.splitlines()[line - 1] == "    return 2 *"


def test_two_exercises_with_one_id_are_refused(tmp_path):
    book = make_book(tmp_path, DOUBLE)
    other = book / "part/other-exercises"
    other.mkdir()
    (other / "double.md").write_text(DOUBLE)
    with pytest.raises(exercises.ExerciseError, match="two exercises share the id double"):
        exercises.sources(book)


# The page and the notebook ---------------------------------------------

CHAPTER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
# A chapter

```{{code-cell}} ipython3
import pathlib
import minigrad.exercises
minigrad.exercises.BOOK = pathlib.Path({book!r})
double = "the chapter's own"
```

## Exercises

{cells}

```{{code-cell}} ipython3
print(double, "and", sorted({{"start", "check", "np"}} & set(globals())))
```
"""
CALL = '```{{code-cell}} ipython3\n:tags: [exercise]\nexercise("{}")\n```\n\n'


def chapter(book):
    cells = "".join(CALL.format(id) for id in ("double", "guess", "why", "secret"))
    return CHAPTER.format(book=str(book), cells=cells)


@pytest.mark.slow
def test_the_page_shows_all_but_the_instructors_part(tmp_path):
    """Build a page from made-up exercises, and look for the instructor's in every file of it."""
    why = WORDS.replace("canary_remark", "the model answer")
    book = make_book(tmp_path, DOUBLE, PREDICT, why, CANARY)
    source = tmp_path / "source"
    source.mkdir()
    (source / "index.md").write_text(chapter(book))
    (source / "conf.py").write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / 'book/_ext')!r})\n"
        "extensions = ['myst_nb', 'sphinx_design', 'exercises']\n"
        "myst_enable_extensions = ['dollarmath']\n"
        f"exercises_book = {str(book)!r}\n"
    )
    built = tmp_path / "built"
    run = [sys.executable, "-m", "sphinx", "-W", "-n", "-q", str(source), str(built)]
    result = subprocess.run(run, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    for path in built.rglob("*"):
        if path.is_file():
            assert b"canary" not in path.read_bytes(), path
    html = (built / "index.html").read_text()
    assert 'id="exercise-double"' in html and "Code · about 5 minutes · gentle · 3 points" in html
    assert "All 3 observations agree." in html and "The solution is with the instructors." in html
    assert "the chapter's own and []" in html or "the chapter&#39;s own and []" in html
    details = html[html.index("exercise-solution double") :]
    assert details.index("observations agree") < details.index("</details>")
    first = html.index("Hint 1 of 3")
    assert first < html.index("Hint 2 of 3") < html.index("</details>", first)


def test_a_cell_that_forgets_its_tag_is_refused(tmp_path):
    book = make_book(tmp_path, DOUBLE)
    with pytest.raises(exercises.ExerciseError, match="must stand alone"):
        on_the_page.expand('```{code-cell} ipython3\nexercise("double")\n```\n', book)
    with pytest.raises(exercises.ExerciseError, match="must call exercise"):
        on_the_page.expand("```{code-cell} ipython3\n:tags: [exercise]\n1\n```\n", book)
    with pytest.raises(exercises.ExerciseError, match="Nearest: double"):
        on_the_page.expand(CALL.format("dubel"), book)


def test_headings_go_one_below_the_last(tmp_path):
    book = make_book(tmp_path, DOUBLE)
    for before, heading in [("# A\n\n## B\n", "### The"), ("# A\n\n```\n### no\n```\n", "## The")]:
        text = on_the_page.expand(before + "\n" + CALL.format("double"), book)
        assert re.search(rf"^{heading} exercise double$", text, re.M)


def test_a_downloaded_notebook_is_enough_by_itself(sample, monkeypatch):
    nb = nbformat.v4.new_notebook()
    for id in ("double", "guess", "why", "secret"):
        cell = nbformat.v4.new_code_cell(f'exercise("{id}")', metadata={"tags": ["exercise"]})
        nb.cells.append(cell)
    nb = on_the_page.expand_notebook(nb)
    nbformat.validate(nb)
    text = nbformat.writes(nb)
    assert "canary" not in text and "return 2 * x" not in text and "exercise(" not in text
    monkeypatch.setattr(exercises, "BOOK", ROOT / "nowhere")
    names = {"np": np, "mg": mg}
    for cell in nb.cells:
        if cell.cell_type == "code":
            source = cell.source.replace("raise NotImplementedError", "return 2 * x")
            exec(source.replace("check(", "_ = check("), names)
            if cell.id == "double-check":
                assert names["_"].outcome == "right"
    assert names["_"].outcome == "not attempted"
