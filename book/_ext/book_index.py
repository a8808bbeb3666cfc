"""The index: what a reader looks up, and the sections where it is told.

A section says under its heading by which words it should be found, in a comment, which a notebook
doesn't show:

    % index: seed; trace, tangent

Semicolons divide the entries, a comma an entry from the one that it stands under. The terms of the
glossary are entries already. Sphinx writes the page, genindex.html; here the table of contents gets
it as its last line, for _toc.yml can name files only.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

MARK = re.compile(r"^\s*index:\s*(.+)$", re.M)


def entries(text):
    """What the comments in a text ask for: ["seed", "trace; tangent"], as Sphinx writes them."""
    asked = [entry for line in MARK.findall(text) for entry in line.split(";")]
    return [re.sub(r"\s*,\s*", "; ", entry.strip(), count=1) for entry in asked]


class ReadMarks(SphinxTransform):
    """Turn each comment into index entries for its section."""

    default_priority = 500  # sections have their ids; Sphinx has not collected the entries yet

    def apply(self):
        for comment in list(self.document.findall(nodes.comment)):
            found = entries(comment.astext())
            section = comment.parent
            while found and not isinstance(section, nodes.section):
                section = section.parent
            if found:
                place = section["ids"][0]
                marks = [("single", entry, place, "", None) for entry in found]
                section.insert(1, addnodes.index(entries=marks))


class OfferIndex(SphinxTransform):
    """Put the index at the end of the table of contents."""

    default_priority = 110  # right after the table has been made of _toc.yml

    def apply(self):
        parts = list(self.document.findall(addnodes.toctree))
        if parts and self.env.docname == self.config.master_doc:
            parts[-1]["entries"].append(("Index", "genindex"))


def setup(app):
    app.add_transform(ReadMarks)
    app.add_transform(OfferIndex)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
