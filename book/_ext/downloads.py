"""Each chapter as a notebook to take away.

The notebook beside the page is made from the chapter's source: exercises are written out (without
their solutions), and the Markdown is put into words that any Jupyter shows, for directives and
roles mean something to the book alone. Numbers that the page takes from its cells are taken from
the same run.
"""

import json
import re
from pathlib import Path

import jupytext
import nbformat
from exercises import expand_notebook
from fresh_runs import is_notebook
from page_assets import NOTEBOOK_MACROS
from sphinx.directives.code import LiteralIncludeReader

FENCE = re.compile(r"^(?P<fence>`{3,}|:{3,})\{(?P<name>[\w:-]+)\}[ \t]*(?P<title>.*)$")
OPTION = re.compile(r"^:([\w-]+):[ \t]*(.*)$")
ROLE = re.compile(r"\{([\w:-]+)\}`([^`]+)`")
BOXES = "note tip hint important warning caution attention danger error seealso admonition".split()


class Translator:
    """MyST to plain notebook Markdown, for one chapter."""

    def __init__(self, app, docname, numbers):
        self.folder = Path(app.srcdir, docname).parent
        self.config, self.numbers = app.config, numbers
        self.labels = app.env.get_domain("std").labels
        self.macros = app.config.mathjax3_config["tex"]["macros"]

    def markdown(self, text):
        """The text without directives, roles, labels and the book's own macros."""
        lines, done = text.splitlines(), []
        while lines:
            line = lines.pop(0)
            found = FENCE.match(line)
            if found:
                done += self.directive(found, take_body(lines, found["fence"]))
            elif line.startswith("```"):
                done += [line, *take_body(lines, "```"), "```"]
            elif not re.match(r"^(\([\w-]+\)=|%.*)$", line):
                done.append(self.line(line))
        return "\n".join(done).strip()

    def line(self, line):
        line = re.sub(r"\$\$ ?\([\w:-]+\)$", "$$", line)  # the label of an equation
        line = ROLE.sub(lambda role: self.role(role[1], role[2]), line)
        for name, macro in self.macros.items():
            line = expand_macro(line, name, macro)
        return line

    def role(self, name, content):
        titled = re.fullmatch(r"(.*?)\s*<([^>]+)>", content)
        if name.startswith("glue"):
            return self.number(content)
        if name in {"ref", "numref", "doc"}:
            return titled[1] if titled else self.labels.get(content.lower(), ("", "", content))[2]
        if name == "eq":
            return "the equation above"
        if name.startswith("cite"):
            return f"({content})"
        if name == "math":
            return f"${content}$"
        if name == "sup":
            return f"<sup>{content}</sup>"
        return f"`{content}`"

    def number(self, content):
        """The value that a cell glued, in the format that the text asks for."""
        name, _, form = content.partition(":")
        value = self.numbers.get(name, name)
        try:
            return format(float(value), form) if form else value
        except ValueError:
            return value

    def directive(self, found, body):
        """The lines that stand for a directive."""
        name, title = found["name"], self.line(found["title"].strip())
        options = {}
        while body and (option := OPTION.match(body[0])):
            options[option[1]] = option[2]
            body.pop(0)
        inner = self.markdown("\n".join(body)).splitlines()
        if name in BOXES:
            return [
                f"> **{title or name.capitalize()}**",
                ">",
                *(f"> {line}".rstrip() for line in inner),
            ]
        if name in {"dropdown", "toggle"}:
            title = title or "More"
            return [f"<details><summary>{title}</summary>", "", *inner, "", "</details>"]
        if name == "math":
            return ["$$", *inner, "$$"]
        if name == "literalinclude":
            return self.source(title, options)
        if name in {"figure", "image"}:
            return [f"*{options.get('alt', 'A figure of the page')}*", "", *inner]
        if name in {"bibliography", "contents", "toctree"}:
            return []
        return inner

    def source(self, name, options):
        """A piece of the package, as the page shows it."""
        options = {key: value or None for key, value in options.items()}
        if options.get("dedent"):
            options["dedent"] = int(options["dedent"])
        reader = LiteralIncludeReader(str(self.folder / name), options, self.config)
        text, _ = reader.read()
        shown = Path(name).as_posix().replace("../", "")
        return [f"From `{shown}`:", "", "```python", *text.rstrip().splitlines(), "```"]


def take_body(lines, fence):
    """Remove from `lines` what stands before the closing fence, and the fence; return the body."""
    body = []
    while lines:
        line = lines.pop(0)
        if line.startswith(fence) and not line.strip(fence[0]).strip():
            break
        body.append(line)
    return body


def expand_macro(text, name, macro):
    r"""Write out \name{...} by its definition, without the colour that only the page knows."""
    definition = macro[0] if isinstance(macro, list) else macro
    definition = re.sub(r"\\class\{[\w-]+\}\{(.*)\}$", r"\1", definition)
    if isinstance(macro, list):
        use = re.compile(rf"\\{name}\{{((?:[^{{}}]|\{{[^{{}}]*\}})*)\}}")
        return use.sub(lambda m: definition.replace("#1", m[1]), text)
    return re.sub(rf"\\{name}(?![A-Za-z])", lambda _: definition, text)


def glued(path):
    """What the cells of the executed chapter glued, {name: text}; myst-nb leaves it in a file."""
    if not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    texts = {name: output["data"].get("text/plain", name) for name, output in found.items()}
    return {name: text.strip("'\"") for name, text in texts.items()}  # a word comes with its quotes


def make_notebook(app, docname):
    """The chapter as an `nbformat` notebook."""
    source = Path(app.env.doc2path(docname)).read_text(encoding="utf-8")
    source = NOTEBOOK_MACROS.sub("", source)  # here each macro is written out
    notebook = expand_notebook(jupytext.reads(source, fmt="md:myst"))
    numbers = Path(app.outdir).parent / "jupyter_execute" / f"{docname}.glue.json"
    translator = Translator(app, docname, glued(numbers))
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = translator.markdown(cell.source)
        elif "remove-cell" in cell.metadata.get("tags", []):  # must run, but is not to be read
            cell.metadata["jupyter"] = {"source_hidden": True}
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell(foreword(app), id="about-this-notebook"))
    notebook.metadata.pop("jupytext", None)
    return notebook


def foreword(app):
    repository = app.config.html_theme_options.get("repository_url")
    if repository:
        how = f"Install its package with `pip install git+{repository}`"
    else:
        how = "Keep it in the book's folder, or install the package from there (`pip install -e .`)"
    return (
        f"*A chapter of {app.config.html_title}, as a notebook.* {how}, with the chapter's other "
        "needs (NumPy, Matplotlib, ipywidgets, scikit-learn)."
    )


def offer_notebook(app, pagename, templatename, context, doctree):
    """Tell the theme's download button that there is a notebook; note it for writing."""
    if doctree is not None and is_notebook(app.env, pagename):
        context["ipynb_source"] = f"{pagename}.ipynb"
        app.env.__dict__.setdefault("notebooks_to_write", set()).add(pagename)


def write_notebooks(app, exception):
    """Write the notebooks of the pages that were written; last, for the theme puts others there."""
    pages = app.env.__dict__.pop("notebooks_to_write", set()) if app.env else set()
    if exception or app._warncount:  # a failed build has said why, and has nothing to offer
        return
    for docname in sorted(pages):
        path = Path(app.outdir) / "_sources" / f"{docname}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(make_notebook(app, docname), path)


def setup(app):
    app.connect("html-page-context", offer_notebook, priority=100)
    app.connect("build-finished", write_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
