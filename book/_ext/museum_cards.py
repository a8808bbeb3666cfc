"""The cards of the museum of mistakes: read from their files, and checked by running them.

A card is a file book/errata-museum/<id>.md: what is to be said about it in the front matter, then
the mistake as one meets it, a question, what is right, and a check, a few lines of Python.

    ---
    title: A product where a difference belongs
    covers: [SE1]                      its items in book/sources.yml
    topic: forward                     the room it hangs in
    kind: formula                      or code, number, claim
    difficulty: 1                      to 3
    compares: the last value of the trace, at (2, 5)
    witness: the formula in one line   where `truth` comes from: not from what is judged
    within: 1e-3                       relative above 1, absolute below; 1e-6 if not given
    ---
    The last of five steps is printed as $v_5 = v_4 v_3$ ...
    +++ question
    +++ fix
    +++ check
    ```python
    wrong = ...
    right = ...
    truth = ...
    ```

The check runs after book/errata-museum/start.py and defines three values. A card hangs only if its
claim holds: `right` agrees with `truth`, and `wrong` does not. In the text, {{ wrong:.2f }} is what
the check computed: between the braces stands what may stand in an f-string.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml
from typed_numbers import typed_numbers

KINDS = ("formula", "code", "number", "claim")
ASKED = {"title", "covers", "topic", "kind", "difficulty", "compares", "witness"}
PARTS = ["mistake", "question", "fix", "check"]
CARD = re.compile(r"---\n(?P<facts>.*?)^---\n(?P<body>.*)", re.M | re.S)
FENCED = re.compile(r"\s*```python\n(.*?)```\s*", re.S)
COMPUTED = re.compile(r"\{\{ (.+?) \}\}")


class CardError(ValueError):
    """What is wrong with a card, and in which file."""


@dataclass
class Card:
    """One card. `found` is what its check computed: {"wrong": ..., "right": ..., "truth": ...}."""

    path: Path
    title: str
    covers: list
    topic: str
    kind: str
    difficulty: int
    compares: str
    witness: str
    mistake: str
    question: str
    fix: str
    check: str
    within: float = 1e-6
    found: dict = field(default_factory=dict)

    id = property(lambda self: self.path.stem)

    def run(self, start):
        """Run the check and hold the card to its claim; return the card."""
        with np.errstate(all="ignore"):
            try:
                exec(compile(start, "start.py", "exec"), self.found)
                exec(compile(self.check, self.path.name, "exec"), self.found)
                values = {name: self.found[name] for name in ("wrong", "right", "truth")}
            except KeyError as error:
                raise CardError(f"{self.path}: the check must define {error}") from error
            except Exception as error:
                message = f"{self.path}: the check raises {type(error).__name__}: {error}"
                raise CardError(message) from error
        wrong, right, truth = values.values()
        if not agree(right, truth, self.within):
            raise CardError(
                f"{self.path}: `right` does not agree with `truth`, {self.witness}: "
                f"{shown(right)} against {shown(truth)}"
            )
        if agree(wrong, truth, self.within):
            raise CardError(
                f"{self.path}: `wrong` agrees with `truth`, {shown(truth)}: no mistake is shown"
            )
        return self

    def told(self, part):
        """A part of the text, with the numbers that the check computed put in."""
        return COMPUTED.sub(self._computed, getattr(self, part))

    def _computed(self, braces):
        try:
            return eval(f"f{'{' + braces[1] + '}'!r}", self.found)
        except Exception as error:
            raise CardError(f"{self.path}: {braces[0]} can't be computed: {error}") from error

    def typed(self):
        """[(line, number, where)]: numbers in the text that no check computed and none excuses."""
        text = COMPUTED.sub("", self.path.read_text(encoding="utf-8"))
        return typed_numbers(text)

    def outcome(self, name):
        """How `wrong` or `right` compares with `truth`, in words."""
        value, truth = self.found[name], self.found["truth"]
        if agree(value, truth, self.within):
            return "agrees"
        if not (is_number(value) and is_number(truth)):
            return "is something else"
        if np.shape(value) != np.shape(truth):
            return f"has the shape {np.shape(value)}, not {np.shape(truth)}"
        off = np.max(np.abs(np.subtract(value, truth, dtype=float)))
        return f"off by {off:.3g}" if np.isfinite(off) else "is not finite where it should be"


def read(path):
    """The card in a file. Raises CardError."""
    text = path.read_text(encoding="utf-8")
    split = CARD.fullmatch(text)
    if not split:
        raise CardError(f"{path}: a card begins with its front matter between two lines ---")
    facts = yaml.safe_load(split["facts"])
    wanted, extra = ASKED - set(facts), set(facts) - ASKED - {"within"}
    if wanted or extra:
        raise CardError(f"{path}: front matter lacks {sorted(wanted)}; unknown: {sorted(extra)}")
    if facts["kind"] not in KINDS or facts["difficulty"] not in (1, 2, 3):
        raise CardError(f"{path}: kind is one of {', '.join(KINDS)}; difficulty is 1, 2 or 3")
    mistake, *rest = re.split(r"^\+\+\+ (\w+)\n", split["body"], flags=re.M)
    parts = {"mistake": mistake} | dict(zip(rest[::2], rest[1::2]))
    if list(parts) != PARTS:
        raise CardError(f"{path}: its parts are {list(parts)}; expected, in this order, {PARTS}")
    code = FENCED.fullmatch(parts["check"])
    if not code:
        raise CardError(f"{path}: the check is one block of ```python")
    parts["check"] = code[1]
    facts["within"] = float(facts.get("within", 1e-6))
    return Card(path, **facts, **{name: part.strip() for name, part in parts.items()})


def collection(folder):
    """All cards of a folder, easy ones first, each one's check run. Raises CardError."""
    start = (folder / "start.py").read_text(encoding="utf-8")
    cards = [read(path).run(start) for path in sorted(folder.glob("*.md"))]
    return sorted(cards, key=lambda card: (card.difficulty, card.title))


def is_number(value):
    return not isinstance(value, tuple | list) and np.asarray(value).dtype.kind in "iuf"


def agree(value, truth, within):
    """Whether a value is the true one: shape and all entries, NaN for NaN; words to the letter."""
    if not (is_number(value) and is_number(truth)):
        return type(value) is type(truth) and value == truth
    if np.shape(value) != np.shape(truth):
        return False
    return np.allclose(value, truth, rtol=within, atol=within, equal_nan=True)


def shown(value):
    """A value for the eye: seven digits of a number, four of each in an array."""
    if not is_number(value):
        return ", ".join(map(str, value)) if isinstance(value, list) and value else str(value)
    if np.ndim(value) == 0:
        whole = np.asarray(value).dtype.kind in "iu"
        return f"{value:,}" if whole else f"{value + 0:.7g}"  # + 0: no negative zero
    return np.array2string(np.asarray(value), precision=4, separator=", ")
