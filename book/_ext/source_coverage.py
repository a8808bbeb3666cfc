"""The coverage page: which section covers which item of the documents that the book grew from.

book/sources.yml lists the items and the chapters that are their home. A section says what it covers
in a comment, an exercise in its front matter:

    % covers: S5, SE1

`{coverage}` writes the table out of these marks, so it cannot claim what no section says. A chapter
of the book that does not mark an item at home in it fails the build, and so does a mark that is no
item's.
"""

import re
from pathlib import Path

import yaml
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.util import logging

logger = logging.getLogger(__name__)
MARK = re.compile(r"^\s*covers:\s*(.+)$", re.M)


class Unresolved(nodes.General, nodes.Element):
    """The place of the table; it is filled in when all chapters have been read."""


class Coverage(Directive):
    def run(self):
        return [Unresolved()]


def read_sources(root):
    """{"documents": {letter: name}, "items": {code: what}, "chapters": {docname: [codes]}}."""
    sources = yaml.safe_load((Path(root) / "book" / "sources.yml").read_text(encoding="utf-8"))
    sources["chapters"] = {name: codes.split() for name, codes in sources["chapters"].items()}
    return sources


def marks(text):
    """The codes that a source text says it covers."""
    lines = re.findall(r"^% covers:\s*(.+)$|^covers:\s*\[(.*)\]$", text, re.M)
    return [code.strip() for line in lines for code in "".join(line).split(",")]


def collect(app, doctree):
    """Remember, for each chapter as it is read, its marks: [(code, section id, its title), ...]."""
    found = []
    for comment in doctree.findall(nodes.comment):
        for line in MARK.findall(comment.astext()):
            section = comment.parent
            while not isinstance(section, nodes.section):
                section = section.parent
            place = (section["ids"][0], section.next_node(nodes.title).astext())
            found += [(code.strip(), *place) for code in line.split(",")]
    covered = app.env.__dict__.setdefault("book_coverage", {})
    covered[app.env.docname] = found


def purge(app, env, docname):
    getattr(env, "book_coverage", {}).pop(docname, None)


def judge(app, env):
    """Warn of items without a mark, and of marks without an item; renew the page."""
    sources, covered = read_sources(app.srcdir), getattr(env, "book_coverage", {})
    for docname, places in covered.items():
        codes = {code for code, *_ in places}
        for code in sorted(codes - set(sources["items"])):
            logger.warning("covers: %s is no item of book/sources.yml", code, location=docname)
        missing = [c for c in sources["chapters"].get(docname, []) if c not in codes]
        if missing:
            logger.warning(
                "book/sources.yml gives this chapter %s, and no section says that it covers it. "
                "Write `%% covers: ...` where it does.",
                ", ".join(missing), location=docname,
            )  # fmt: skip
    return [name for name in env.found_docs if name == "book/coverage"]


def fill(app, doctree, docname):
    """The table in the place of the directive."""
    for place in list(doctree.findall(Unresolved)):
        sources, covered = read_sources(app.srcdir), getattr(app.env, "book_coverage", {})
        homes = {}
        for chapter, places in covered.items():
            for code, section, title in places:
                homes.setdefault(code, []).append((chapter, section, title))
        place.replace_self([_document(app, docname, letter, name, sources, homes)
                            for letter, name in sources["documents"].items()])  # fmt: skip


def _document(app, docname, letter, name, sources, homes):
    """One table for one document."""
    codes = [c for c in sources["items"] if c.rstrip("0123456789") in (letter, letter + "E")]
    table = nodes.table("", nodes.title("", name), classes=["coverage"], ids=[f"sources-{letter}"])
    group = nodes.tgroup("", *[nodes.colspec(colwidth=width) for width in (8, 46, 46)], cols=3)
    group += nodes.thead(
        "", _row(*[nodes.paragraph("", text) for text in ("item", "what", "where")])
    )
    body = nodes.tbody()
    for code in codes:
        links = nodes.paragraph()
        for chapter, section, title in dict.fromkeys(homes.get(code, [])):
            chapter_title = app.env.titles[chapter].astext()
            uri = app.builder.get_relative_uri(docname, chapter) + f"#{section}"
            shown = title if title == chapter_title else f"{chapter_title}: {title}"
            links += [nodes.reference("", shown, internal=True, refuri=uri), nodes.Text("; ")]
        links = links if not links.children else nodes.paragraph("", "", *links.children[:-1])
        if not links.children:
            links = nodes.paragraph("", "in a chapter to come")
        body += _row(nodes.paragraph("", code), nodes.paragraph("", sources["items"][code]), links)
    group += body
    table += group
    return table


def _row(*cells):
    return nodes.row("", *[nodes.entry("", cell) for cell in cells])


def setup(app):
    app.add_node(Unresolved)
    app.add_directive("coverage", Coverage)
    app.connect("doctree-read", collect)
    app.connect("env-purge-doc", purge)
    app.connect("env-updated", judge)
    app.connect("doctree-resolved", fill)
    return {
        "version": "1",
        "env_version": 1,
        "parallel_read_safe": False,
        "parallel_write_safe": True,
    }
