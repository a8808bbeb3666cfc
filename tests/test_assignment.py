"""The assignment writer, against nbgrader itself, which validates, releases and grades."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from test_exercises import CANARY, DOUBLE, PREDICT, WORDS, make_book

from minigrad import exercises

ROOT = Path(__file__).resolve().parents[1]
specification = importlib.util.spec_from_file_location("assignment", ROOT / "tools/assignment.py")
assignment = importlib.util.module_from_spec(specification)
specification.loader.exec_module(assignment)
IDS = ["double", "guess", "why", "secret"]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    return make_book(tmp_path_factory.mktemp("written"), DOUBLE, PREDICT, WORDS, CANARY)


@pytest.fixture(scope="module")
def course(book, tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    assignment.main([*IDS, "--name", "week", "--output", str(folder)], book)
    return folder


def notebook(course, folder, name="week"):
    return nbformat.read(course / folder / name / f"{name}.ipynb", as_version=4)


def cell(nb, grade_id):
    return next(c for c in nb.cells if c.metadata.nbgrader.grade_id == grade_id)


def refused(arguments, book):
    with pytest.raises(SystemExit) as error:
        assignment.main(arguments, book)
    return str(error.value)


def test_points_add_up_and_cells_have_their_roles(course):
    nb = notebook(course, "release")
    nbformat.validate(nb)
    roles = {c.metadata.nbgrader.grade_id: c.metadata.nbgrader for c in nb.cells}
    assert len(roles) == len(nb.cells)
    assert sum(role.get("points", 0) for role in roles.values()) == 3 + 1 + 2 + 2
    assert roles["double-check"].points == 2 and roles["double-hidden"].points == 1
    assert roles["double-statement"].locked and not roles["double-statement"].grade
    assert roles["double-answer"].solution and not roles["double-answer"].locked
    assert roles["double-check"].grade and roles["double-check"].locked
    assert roles["why-words"].grade and roles["why-words"].solution
    assert not any("points" in role for role in roles.values() if not role.grade)


def test_students_get_neither_solution_nor_hidden_check(course):
    released = (course / "release/week/week.ipynb").read_text()
    source = (course / "source/week/week.ipynb").read_text()
    for secret in ("canary_solution", "canary_hidden", "canary_remark", "2 * x  # twice"):
        assert secret in source
        assert secret not in released
    assert "YOUR CODE HERE" in cell(notebook(course, "release"), "double-answer").source
    assert "YOUR ANSWER HERE" in cell(notebook(course, "release"), "why-words").source


def test_stub_and_solution_that_share_their_frame_are_merged():
    stub = "def f(x):\n    # a remark\n    raise NotImplementedError\n\nk = 1"
    merged = assignment.with_solution(stub, "def f(x):\n    y = x\n    return y\n\nk = 1")
    assert merged.count("BEGIN SOLUTION") == 1 and merged.startswith("def f(x):\n    ### BEGIN")
    apart = assignment.with_solution("answer = ...", "answer = 3")
    assert apart.startswith("answer = ...\n\n### BEGIN SOLUTION\nanswer = 3\n")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["doubl"], "Nearest: double"),
        ([], "no exercise named"),
        (["double", "guess", "double"], "named twice: double"),
        (["double", "--name", "a week"], "can't name an assignment"),
        (["double", "--output", __file__], "can't write to"),
    ],
)
def test_bad_input_gets_a_message_that_teaches(arguments, words, book):
    assert words in refused(arguments, book)


def test_a_release_is_never_overwritten(tmp_path, capsys):
    book, output = make_book(tmp_path, DOUBLE), tmp_path / "course"
    call = ["double", "--output", str(output)]
    assignment.main(call, book)
    first = (output / "release/double/double.ipynb").read_text()
    capsys.readouterr()
    assignment.main(call, book)
    assert "is there already, and the same" in capsys.readouterr().out
    make_book(tmp_path, DOUBLE.replace("Write a function", "Now write a function"))
    assignment.main(call, book)
    assert "double stays as students have it" in capsys.readouterr().out
    assert (output / "release/double/double.ipynb").read_text() == first
    assert "Now write" in (output / "release/double-2/double-2.ipynb").read_text()


@pytest.mark.slow
def test_nbgrader_validates_releases_and_grades(course, monkeypatch):
    """One right submission, one untouched, one wrong: full points on the checks, none, none."""
    pytest.importorskip("nbgrader")
    from nbgrader.api import Gradebook
    from nbgrader.apps import NbGraderAPI
    from nbgrader.nbgraderformat import MetadataValidator
    from traitlets.config import Config

    for folder in ("source", "release"):
        MetadataValidator().validate_nb(notebook(course, folder))  # raises if it does not like it
    ours = notebook(course, "release")
    shutil.copytree(course / "release", course / "ours")
    monkeypatch.chdir(course)
    tools = str(Path(sys.executable).parent)  # nbgrader calls alembic by name
    monkeypatch.setenv("PATH", tools + os.pathsep + os.environ["PATH"])
    settings = Config()
    settings.CourseDirectory.root = str(course)
    settings.ExecutePreprocessor.timeout = 60
    api = NbGraderAPI(config=settings)

    made = api.generate_assignment("week", force=True)
    assert made["success"], made["log"]
    theirs = notebook(course, "release")
    assert [c.source for c in theirs.cells] == [c.source for c in ours.cells]
    for a, b in zip(ours.cells, theirs.cells, strict=True):
        assert {
            k: v for k, v in b.metadata.nbgrader.items() if k in a.metadata.nbgrader
        } == a.metadata.nbgrader

    right = notebook(course, "source")  # the solution as a student would hand it in
    answers = {
        "untouched": {},
        "right": {c.metadata.nbgrader.grade_id: c.source for c in right.cells},
        "wrong": {
            "double-answer": "def double(x):\n    return x * x",
            "guess-answer": "answer = 4.0",
            "secret-answer": "def f(x):\n    return 0.0",
        },
    }
    for student, given in answers.items():
        nb = notebook(course, "release")
        for c in nb.cells:
            if c.metadata.nbgrader.grade_id in given and c.metadata.nbgrader.solution:
                c.source = given[c.metadata.nbgrader.grade_id]
        folder = course / "submitted" / student / "week"
        folder.mkdir(parents=True)
        nbformat.write(nb, folder / "week.ipynb")
    for student in answers:
        graded = api.autograde("week", student)
        assert graded["success"], graded["log"]
    with Gradebook(f"sqlite:///{course}/gradebook.db") as gradebook:
        scores = {}
        for student in answers:
            submission = gradebook.find_submission_notebook("week", "week", student)
            scores[student] = {
                g.name: g.auto_score for g in submission.grades if g.cell_type == "code"
            }
    assert scores["right"] == {
        "double-check": 2,
        "double-hidden": 1,
        "guess-check": 1,
        "secret-check": 1,
        "secret-hidden": 1,
    }
    assert set(scores["untouched"].values()) == {0}
    assert set(scores["wrong"].values()) == {0}


@pytest.mark.parametrize("id", exercises.sources())
def test_each_exercise_of_the_book_can_be_set(id):
    """The instructor's copy still passes when it is run, and the students' does not hold it."""
    made = assignment.checked(id)
    source = assignment.instructors_notebook([made])
    release = nbformat.writes(assignment.students_notebook(source))
    for name in exercises.SECRET:
        if name in made.cells:
            assert made.cells[name] not in "\n".join(
                c.source for c in nbformat.reads(release, 4).cells
            )
    if made.answer:
        answers = made.answers(cell(source, f"{id}-answer").source)
        exercises._judge(made.observe(answers)).require()
