"""Everything that a page loads comes from this site, and what the theme leaves undone is mended.

MathJax is copied out of its npm package; what the theme and its companions would load besides
(Thebe, a second copy of all icons) is left out; each page tells search engines and link previews
what it is.
"""

import html
import re
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.errors import ConfigError

# The parts of mathjax/es5 that a page can ask for: the component, its fonts, and TeX packages by
# name.
MATHJAX = ["tex-mml-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions"]

# Scripts that would load for nothing. Thebe is even set up twice, which is a syntax error on each
# page.
UNUSED = ("THEBE_JS_URL", "sphinx-thebe", "require.js", "embed-amd")

# A line of definitions alone, as chapters have it under their title.
NOTEBOOK_MACROS = re.compile(r"^\$\\newcommand\{.*\}\$\n", re.M)

# The theme's own markup, (what it writes, what it should have written).
MENDS = [
    # 1.5 MB of icons as a script, though the same icons come as fonts
    (r'<script src="[^"]*fontawesome\.js[^"]*"></script>', ""),
    # a button whose name for a screen reader is not the text that is seen
    (r'(<button class="btn search-button-field[^>]*?) title="Search" aria-label="Search"', r"\1"),
    (r'(<i class="theme-switch [^>]*?) +title="[^"]*"', r'\1 aria-hidden="true"'),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    # a role that ARIA has withdrawn, and the list that held such entries only
    (r' role="doc-biblioentry"', ""),
    (r'<div role="list" class="citation-list">', '<div class="citation-list">'),
    # a heading without words is no heading but an empty corner of its table
    (r"<th([^>]*?)(?: scope=\"col\")?>(?:<p></p>)?</th>", r"<td\1></td>"),
    # a sidebar outside every landmark
    (
        r'<div id="pst-primary-sidebar" class="',
        '<div id="pst-primary-sidebar" role="region" aria-label="The book" class="',
    ),
]


def mend(page):
    for pattern, replacement in MENDS:
        page = re.sub(pattern, replacement, page)
    return page


def require_mathjax(app):
    """Say at once, not after all chapters have run, that the front-end files are missing."""
    if not (Path(app.srcdir) / "node_modules" / "mathjax" / "es5").is_dir():
        raise ConfigError("MathJax is missing. `make book` fetches it; without make: `npm ci`.")


def copy_mathjax(app, exception):
    """Copy MathJax to the built site, once."""
    if exception or app.builder.format != "html":
        return
    package = Path(app.srcdir) / "node_modules" / "mathjax" / "es5"
    target = Path(app.outdir) / "_static" / "vendor" / "mathjax"
    for name in MATHJAX:
        source, copy = package / name, target / name
        if copy.exists():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy)


def drop_notebook_macros(app, docname, source):
    r"""A chapter's line of \newcommand is for Jupyter, which knows none of the book's macros;
    the page has them, in colour, from _config.yml."""
    source[0] = NOTEBOOK_MACROS.sub("", source[0])


def prepare_page(app, pagename, templatename, context, doctree):
    """Leave unused scripts out, describe the page, and lend `mend` to the template."""
    context["mend"] = mend
    context["script_files"][:] = [
        script for script in context["script_files"] if not is_unused(script)
    ]
    if doctree is not None:
        context["metatags"] += described(app, pagename, context["title"], doctree)


def is_unused(script):
    words = str(getattr(script, "filename", script)) + str(getattr(script, "attributes", ""))[:300]
    return any(unused in words for unused in UNUSED)


def described(app, pagename, title, doctree):
    """Meta tags with the page's first paragraph as its description."""
    paragraph = next((p for p in doctree.findall(nodes.paragraph) if len(p.astext()) > 40), None)
    words = " ".join((paragraph.astext() if paragraph else app.config.html_title).split())
    if len(words) > 200:
        words = words[:200].rsplit(" ", 1)[0] + " ..."
    title = re.sub(r"<[^>]*>", "", title)
    tags = {"og:type": "article", "og:title": title, "og:description": words}
    tags["og:site_name"] = app.config.html_title
    site = app.config.html_baseurl.rstrip("/")
    if site:  # both need a full address
        tags |= {"og:url": f"{site}/{pagename}.html", "og:image": f"{site}/_static/picture.png"}
    lines = [f'<meta name="description" content="{html.escape(words)}">']
    lines += [f'<meta property="{k}" content="{html.escape(v)}">' for k, v in tags.items()]
    return "\n".join(lines)


def setup(app):
    app.add_css_file("book.css")
    app.add_js_file("book.js", loading_method="defer")
    app.connect("builder-inited", require_mathjax)
    app.connect("source-read", drop_notebook_macros)
    app.connect("html-page-context", prepare_page, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
