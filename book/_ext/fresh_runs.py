"""Run a chapter again when anything that it computes with has changed.

jupyter-cache knows a notebook by its cells alone: after an edit in ``minigrad/`` it would publish
yesterday's outputs. Here every chapter gets a cache folder of its own, named by the hash of what
its cells import and check: the package, the chapter's exercises and the locked versions. When the
hash changes, the chapter counts as outdated and its new, empty folder makes it run.
"""

import hashlib
import shutil
import sys
from pathlib import Path

from docutils import nodes
from sphinx.util import logging

logger = logging.getLogger(__name__)


def ingredients(root, docname):
    """The files, beside its own text, on which the outputs of a chapter depend."""
    package = [
        p for p in (root / "minigrad").rglob("*") if p.suffix in {".py", ".json", ".npz", ".tsv"}
    ]
    exercises = (root / f"{docname}-exercises").glob("*.md")
    shown = [root / "requirements-lock.txt"]
    if docname.endswith("performance"):  # the page that shows what `make bench` has measured
        shown += sorted((root / "benchmarks").glob("*.py"))
        shown += sorted((root / "benchmarks" / "results").glob("*.json"))
    return [*sorted(package), *sorted(exercises), *shown]


def fingerprint(root, docname):
    """Twelve hexadecimal digits that change when an ingredient of the chapter does."""
    digest = hashlib.sha256(sys.version.encode())
    for path in ingredients(root, docname):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def is_notebook(env, docname):
    """Whether the page has cells to run: only notebooks name a kernel in their front matter."""
    return "kernelspec" in env.metadata.get(docname, {})


def mark_outdated(app, env, added, changed, removed):
    """The chapters whose own text is as it was, but whose ingredients have changed."""
    last = env.__dict__.setdefault("fingerprints", {})
    stale = {
        docname
        for docname in env.found_docs - added - changed - removed
        if is_notebook(env, docname) and last.get(docname) != fingerprint(Path(app.srcdir), docname)
    }
    for docname in sorted(stale):
        logger.info(
            "%s runs again: minigrad, its exercises or the locked versions changed", docname
        )
    return stale


def use_own_cache(app, docname, source):
    """Point myst-nb at the folder that belongs to this chapter in its present state."""
    env, key = app.env, fingerprint(Path(app.srcdir), docname)
    name = docname.replace("/", "-")
    caches = Path(app.outdir).parent / ".jupyter_cache"
    for old in caches.glob(f"{name}@*"):
        if old.name != f"{name}@{key}":
            shutil.rmtree(old)
    env.mystnb_config = env.mystnb_config.copy(execution_cache_path=str(caches / f"{name}@{key}"))
    env.__dict__.setdefault("fingerprints", {})[docname] = key


def merge_fingerprints(app, env, docnames, other):
    """Bring home what a parallel reader noted."""
    mine = env.__dict__.setdefault("fingerprints", {})
    mine.update({d: other.fingerprints[d] for d in docnames if d in other.fingerprints})


def forget_failed_build(app, exception):
    """A build with warnings has failed. Forget what it read, or the next one would find nothing
    to do and call the same broken pages a success."""
    if exception or app._warncount:
        (Path(app.doctreedir) / "environment.pickle").unlink(missing_ok=True)


def tell_runs(app, doctree, docname):
    """myst-nb's table of runs, by the titles of the pages and in their order, with the sum.

    Page, date and seconds are kept: a build with a cell that failed is not published.
    """
    table = next(doctree.findall(nodes.table), None)
    if not docname.endswith("status") or table is None:
        return
    env, order, waiting = app.env, [], [app.config.root_doc]
    while waiting:
        order.append(waiting.pop())
        waiting += reversed(env.toctree_includes.get(order[-1], []))
    rows = {row[0].astext(): row for row in table.findall(nodes.row)}
    head = rows.pop("Document")
    seconds = [float(row[3].astext()) for row in rows.values() if row[3].astext() != "-"]
    for entry, words in zip(head, ("Page", "Ran", "", "Seconds", ""), strict=True):
        entry[:] = [nodes.paragraph(text=words)]
    for page, row in rows.items():
        for text in list(row[0].findall(nodes.Text)):
            text.parent.replace(text, nodes.Text(env.titles[page].astext()))
    for row in [head, *rows.values()]:
        row[:] = [row[0], row[1], row[3]]
    together = ("Together", "", f"{sum(seconds):.1f}")
    last = nodes.row("", *[nodes.entry("", nodes.paragraph(text=words)) for words in together])
    body = nodes.tbody("", *[rows[page] for page in order if page in rows], last)
    group, columns = table[0], list(table.findall(nodes.colspec))[:3]
    group["cols"] = len(columns)
    group[:] = [*columns, *group.findall(nodes.thead), body]


def setup(app):
    app.connect("env-get-outdated", mark_outdated)
    app.connect("doctree-resolved", tell_runs)
    app.connect("source-read", use_own_cache)
    app.connect("env-merge-info", merge_fingerprints)
    app.connect("build-finished", forget_failed_build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
