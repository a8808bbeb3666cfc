"""The package stays small, layered, and cheap to import."""

import ast
import io
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "minigrad"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Not counted in the package's budget: they show, fetch or run the book.
OUTSIDE_THE_BUDGET = {"data", "display", "drawing", "exercises", "interop", "sweeps", "widgets"}

# What a module may import at once, besides NumPy and the standard library.
ALLOWED = {
    "widgets": {"anywidget", "traitlets", "ipywidgets", "IPython", "matplotlib", "sympy"},
    "exercises": {"IPython", "yaml"},
    "drawing": {"matplotlib"},
    "interop": {"torch"},
    "sweeps": {"joblib", "threadpoolctl", "tqdm"},
}


def module_name(path):
    """minigrad/widgets/page.py -> minigrad.widgets.page"""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def area(path):
    """The part of the package that a file belongs to: its module, or its folder."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def code_lines(text):
    """Lines that hold code: no blank lines, no comments, no docstrings."""
    docstrings = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                docstrings.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    nothing = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in nothing | {tokenize.ENDMARKER}:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def imports(path, at_import=False):
    """Full names of the modules that a file imports; only those of its top level if `at_import`."""
    tree = ast.parse(path.read_text())
    for node in tree.body if at_import else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module_name(path).split(".")
            base = package[: len(package) - node.level + (path.name == "__init__.py")]
            start = ".".join([*base * bool(node.level), *filter(None, [node.module])])
            known = {module_name(module) for module in MODULES}
            yield from {
                f"{start}.{alias.name}" if f"{start}.{alias.name}" in known else start
                for alias in node.names
            }


def test_code_lines_counts_code_alone():
    string = '"""Doc\nstring."""\n\n# comment\nx = """two\nlines"""  # and a comment\n\n\n'
    text = string + 'def f():\n    "doc"\n    return 1\n'
    assert code_lines(text) == 4


def test_reverse_mode_is_one_file_of_at_most_270_lines():
    assert code_lines((PACKAGE / "core.py").read_text()) <= 270


def test_the_package_has_at_most_2000_lines():
    counts = {
        module_name(path): code_lines(path.read_text())
        for path in MODULES
        if area(path) not in OUTSIDE_THE_BUDGET
    }
    assert sum(counts.values()) <= 2000, counts


def fresh(statement):
    """The modules that a new Python has after a statement."""
    code = f"{statement}; import sys; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in result.stdout.split()}


def test_import_minigrad_imports_numpy_and_nothing_else():
    more = fresh("import minigrad") - fresh("import numpy") - {"minigrad"}
    assert more <= set(sys.stdlib_module_names), sorted(more - set(sys.stdlib_module_names))
    for widgets in ("IPython", "matplotlib", "ipywidgets", "anywidget", "yaml", "sklearn"):
        assert widgets not in more


def test_the_heart_uses_nothing_of_the_rest():
    """core, dual: NumPy and promises. ops on top of it, then everything else."""
    own = {
        area(path): {name for name in imports(path) if name.startswith("minigrad")}
        for path in MODULES
    }
    assert own["promises"] == set()
    assert own["core"] == {"minigrad.promises"}
    assert own["dual"] == {"minigrad.promises"}
    assert own["ops"] <= {"minigrad.core", "minigrad.promises"}
    assert own["functions"] <= {
        "minigrad.core",
        "minigrad.ops",
        "minigrad.dual",
        "minigrad.promises",
    }
    assert own["solutions"] <= {"minigrad.core"}


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_each_module_imports_only_what_it_may(path):
    for name in imports(path, at_import=True):
        top = name.split(".")[0]
        if top not in {"numpy", "minigrad"} and top not in sys.stdlib_module_names:
            assert top in ALLOWED.get(area(path), set()), f"{module_name(path)} imports {name}"


def test_no_import_cycles():
    graph = {
        module_name(path): {name for name in imports(path, at_import=True) if "minigrad" in name}
        for path in MODULES
    }
    finished, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in graph and name not in finished:
            path.append(name)
            for other in sorted(graph[name]):
                visit(other)
            finished.add(path.pop())

    for name in graph:
        visit(name)


def ruff(*arguments):
    result = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "minigrad", "tests"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    return result.returncode, result.stdout + result.stderr


def test_ruff_has_nothing_to_format():
    code, said = ruff("format", "--check")
    assert code == 0, said


def test_ruff_finds_no_fault():
    code, said = ruff("check", "--output-format=concise")
    assert code == 0, said


def test_nothing_is_left_to_do():
    """No note of unfinished work in the package, in any of its usual spellings."""
    for path in MODULES:
        for note in ("TO" + "DO", "FIX" + "ME", "XX" + "X"):
            assert note not in path.read_text(), f"{note} in {module_name(path)}"
