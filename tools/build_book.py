"""Build the book as make does: warnings and failing cells are errors, and what ran is told.

usage: build_book.py [OUTPUT_FOLDER]      default: the project's root, so that pages land in
_build/html
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# What jupyter-book prints and nobody building the book needs: configuration dumps, the kernels'
# remark about their local sockets, advice on opening files by hand.
NOISE = re.compile(
    r"MdParserConfig\(|NbParserConfig\(|running over TCP without encryption|Using jupyter-cache at"
    r"|Using cached notebook|Cached executed notebook|file://|Or paste this line|You can look at"
    r"|Changing master_doc|loading translations|bibtex cache|0 po files|HTML pages are|^[= ]*$"
)
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def build(output):
    """Run jupyter-book, pass on what matters of its output, and return its exit status."""
    jupyter_book = shutil.which("jupyter-book", path=str(Path(sys.executable).parent))
    command = [jupyter_book, "build", ".", "-n", "-W", "--keep-going", "--path-output", str(output)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    for line in process.stdout:
        line = ESCAPES.sub("", line.rstrip())
        if not NOISE.search(line):
            print(line, flush=True)
    return process.wait()


if __name__ == "__main__":
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    status = build(output)
    if status:
        print("\nThe book was not built: see the warnings and errors above.", file=sys.stderr)
    else:
        print(f"\nThe book is built: {(output / '_build' / 'html' / 'index.html').resolve()}")
    sys.exit(min(status, 1) if status >= 0 else 1)
