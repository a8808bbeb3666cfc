#!/bin/sh
# Print the Python that the book is set up with: the one asked for, else the newest of 3.13 to 3.11.
# usage: find_python.sh [PYTHON]

serves() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

has_venv() {
    "$1" -c 'import venv, ensurepip' 2>/dev/null
}

if [ -n "$1" ]; then
    if ! command -v "$1" >/dev/null 2>&1; then
        echo "PYTHON=$1 was given, but there is no such program." >&2
        exit 1
    fi
    if ! serves "$1"; then
        echo "PYTHON=$1 is $("$1" --version 2>&1). The book needs Python 3.11 or newer." >&2
        exit 1
    fi
    candidates=$1
else
    candidates="python3.13 python3.12 python3.11 python3 python"
fi

bare=
for python in $candidates; do
    if command -v "$python" >/dev/null 2>&1 && serves "$python"; then
        if has_venv "$python"; then
            command -v "$python"
            exit 0
        fi
        bare=${bare:-$python}
    fi
done

if [ -z "$bare" ]; then
    echo "No Python 3.11 or newer was found (tried: $candidates)." >&2
    echo "Install one (Debian, Ubuntu: sudo apt install python3 python3-venv; macOS: brew install python)" >&2
    echo "or name yours: make PYTHON=/path/to/python3 ..." >&2
    exit 1
fi

version=$("$bare" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
echo "$bare (Python $version) cannot make virtual environments: its venv or ensurepip module is missing." >&2
if command -v apt-get >/dev/null 2>&1; then
    echo "Install the package that holds it:  sudo apt install python$version-venv" >&2
else
    echo "Install the part of your distribution's Python $version that holds venv and ensurepip," >&2
    echo "or name another Python: make PYTHON=/path/to/python3 ..." >&2
fi
exit 1
