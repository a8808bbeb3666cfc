"""The fields that a page offers for a prediction, a trace table or a bug hunt."""

import html
import json
import re
import sys
from pathlib import Path

import pytest

from minigrad.exercises import find, sources

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))
from page_answers import form, gaps  # noqa: E402

PUBLIC = [id for id in sources() if find(id).type in "PT" and find(id).solution == "public"]
ON_THE_PAGE = [id for id in PUBLIC if find(id).page and find(id).answer]
ON_THE_PAGE += [id for id in sources() if find(id).type == "B" and form(find(id))]


def near(a, b):
    """As the page's script compares: words, or numbers to four digits."""
    if a is None or isinstance(b, str):
        return a == b
    pairs = zip(a, b, strict=False)
    return len(a) == len(b) and all(abs(p - q) <= 5e-4 * max(1, abs(q)) for p, q in pairs)


def data(made):
    return json.loads(re.search(r'json">(.*?)</script>', form(made), re.S)[1])


@pytest.mark.parametrize("id", ON_THE_PAGE)
def test_each_gap_of_the_stub_is_a_field(id):
    made = find(id)
    fields = form(made)
    code = "\n".join(line.partition("#")[0] for line in made.cells["answer"].splitlines())
    assert fields.count("data-gap") == code.count("...") == len(list(gaps(made)))
    labels = re.findall(r"<label for=\"([\w-]+)\">(.+?)</label>", fields)
    assert len({name for name, _ in labels}) == len(labels) == fields.count("data-gap")


@pytest.mark.parametrize("id", ON_THE_PAGE)
def test_right_answers_can_be_chosen(id):
    for gap in gaps(find(id)):
        assert isinstance(gap.expected, str) == bool(gap.choices)
        assert not gap.choices or (gap.expected in gap.choices and len(gap.choices) > 1)


@pytest.mark.parametrize("id", ON_THE_PAGE)
def test_a_mistake_is_told_from_the_right_answer(id):
    """A mistake that the page would call right could never earn its message."""
    known = data(find(id))
    for mistake in known["mistakes"]:
        told = [value for value in mistake["values"] if value is not None]
        alike = [near(a, b) for a, b in zip(mistake["values"], known["gaps"], strict=True)]
        assert not told or not all(alike), mistake["message"]


def test_what_a_page_cannot_judge_has_no_fields():
    assert form(find("your-own-point")) is None  # its right answer depends on the reader's birthday
    code = next(find(id) for id in sources() if find(id).type == "C")
    assert form(code) is None
    assert form(find("old-listing")) is None  # a word to choose, and three functions to write
    assert "printed-derivation" in ON_THE_PAGE  # a bug hunt that is a matter of words


def test_words_of_an_exercise_cannot_break_the_page():
    made = find("adjoint-table")
    made.title = '"><script>alert(1)</script>'
    made.mistakes[0]["message"] = "</script><b>"
    fields = form(made)
    assert "<script>alert" not in fields and "</script><b>" not in fields
    assert html.escape(made.title) in fields and fields.count("</script>") == 1
