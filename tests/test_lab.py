"""`make lab` brings the book's notebooks, and keeps those that a reader has worked in."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from lab import bring  # noqa: E402


def test_new_notebooks_come_and_the_readers_own_stay(tmp_path):
    built, mine = tmp_path / "built", tmp_path / "mine"
    for name in "derivatives/one", "engine/two":
        (built / name).parent.mkdir(parents=True)
        (built / f"{name}.ipynb").write_text("the book's")
    names = bring(built, mine)
    assert [name.as_posix() for name in names] == ["derivatives/one.ipynb", "engine/two.ipynb"]
    (mine / "derivatives" / "one.ipynb").write_text("with my answers")
    (mine / "engine" / "two.ipynb").unlink()
    bring(built, mine)
    assert (mine / "derivatives" / "one.ipynb").read_text() == "with my answers"
    assert (mine / "engine" / "two.ipynb").read_text() == "the book's"


def test_without_a_built_book_the_way_there_is_told(tmp_path):
    with pytest.raises(SystemExit, match="make book"):
        bring(tmp_path, tmp_path / "mine")
