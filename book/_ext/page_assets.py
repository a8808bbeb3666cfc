"""Everything that a page loads comes from this site.

MathJax is copied out of its npm package; what the theme and its companions would load besides (Thebe,
a second Font Awesome) is left out.
"""

import shutil
from pathlib import Path

from sphinx.errors import ConfigError

# The parts of mathjax/es5 that a page can ask for: the component, its fonts, and TeX packages by name.
MATHJAX = ["tex-mml-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions"]


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


def require_mathjax(app):
    """Say at once, not after all chapters have run, that the front-end files are missing."""
    if not (Path(app.srcdir) / "node_modules" / "mathjax" / "es5").is_dir():
        raise ConfigError("MathJax is missing. `make book` fetches it; without make: `npm ci`.")


def drop_unused_scripts(app, pagename, templatename, context, doctree):
    """Thebe is set up twice by jupyter-book, which is a syntax error on each page, and unused here."""
    unused = ("THEBE", "thebe", "require.js", "embed-amd", "fontawesome")
    context["script_files"][:] = [
        script
        for script in context.get("script_files", [])
        if not any(
            word in str(getattr(script, "filename", script))
            or word in str(getattr(script, "attributes", {}).get("body", ""))[:200]
            for word in unused
        )
    ]


def setup(app):
    app.add_css_file("book.css")
    app.connect("builder-inited", require_mathjax)
    app.connect("html-page-context", drop_unused_scripts, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
