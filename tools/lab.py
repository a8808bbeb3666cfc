"""Open the chapters in JupyterLab as the notebooks that the book's pages offer.

A copy of each lies in a folder of the reader's. One that is there already holds the reader's work
and is kept; who wants the book's again deletes it.

usage: lab.py [--only-copy] [FOLDER]      default: notebooks
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def bring(built, folder):
    """Copy the notebooks below `built` that `folder` has not; return the names of all."""
    names = sorted(path.relative_to(built) for path in built.rglob("*.ipynb"))
    if not names:
        sys.exit(f"There are no notebooks in {built}. Build the book first: make book")
    for name in names:
        if not (folder / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(built / name, folder / name)
    return names


if __name__ == "__main__":
    arguments = sys.argv[1:]
    only_copy = "--only-copy" in arguments
    folder = Path([*(name for name in arguments if name != "--only-copy"), ROOT / "notebooks"][0])
    bring(ROOT / "_build" / "html" / "_sources" / "book", folder)
    try:
        if not only_copy:
            sys.exit(subprocess.call([sys.executable, "-m", "jupyter", "lab", str(folder)]))
    except KeyboardInterrupt:  # Ctrl-C ends JupyterLab; nothing to report
        pass
