"""Replace the locked versions by others, to learn early what breaks.

usage: loosen.py oldest    the lower bounds of requirements.txt
       loosen.py newest    no exact versions at all
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def oldest(requirements):
    """Exact versions made of the lower bounds, one a line."""
    bounds = re.findall(r"^([\w.-]+)>=([\w.]+)", requirements, re.M)
    return "".join(f"{name}=={bound}\n" for name, bound in bounds)


if __name__ == "__main__":
    if sys.argv[1:] not in (["oldest"], ["newest"]):
        sys.exit(__doc__)
    text = oldest((ROOT / "requirements.txt").read_text()) if sys.argv[1] == "oldest" else ""
    (ROOT / "requirements-lock.txt").write_text(
        f"# {sys.argv[1]} versions, by tools/loosen.py\n{text}"
    )
    print(text or "no exact versions")
