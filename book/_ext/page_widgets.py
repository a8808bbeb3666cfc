"""Widgets on a page that has no kernel.

An executed chapter carries the state of every widget that it displayed. A widget whose behaviour
is JavaScript (an anywidget) is alive from that state alone: it is handed to
``_static/widget_host.js``, a few dozen lines that stand where require.js and the whole Jupyter
widget manager would. The book's own widgets are loaded as the modules that they are, from
``_static/widgets``, once for all pages.

A widget whose behaviour is Python (a slider that calls a function) would be dead: a reader would
move it and nothing would follow. Its place holds a recorded run instead: the settings as text,
the output that belongs to them, and where to run it.
"""

import html
import json
import os
import re
import shutil
from pathlib import Path

from repository import binder_address

VIEW = re.compile(
    r'<script type="application/vnd\.jupyter\.widget-view\+json">(.*?)</script>', re.DOTALL
)
STATE = "application/vnd.jupyter.widget-state+json"
OWN = "minigrad.widgets."  # anywidgets of this package have their modules on the site
REFERENCE = "IPY_MODEL_"


# ---- anywidgets: alive -------------------------------------------------------------------------


def snake(name):
    """TracePlayer -> trace_player, LiveMLP -> live_mlp: a widget's class names its folder."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def live_widget(model, static):
    """The element that the host brings to life, with everything it needs written into it."""
    state = dict(model["state"])
    identity = state.get("_anywidget_id", "")
    source, styles = state.pop("_esm", ""), state.pop("_css", "")
    state = {name: value for name, value in state.items() if not name.startswith("_")}
    found = {"state": state, "buffers": model.get("buffers", [])}
    if identity.startswith(OWN):
        name = snake(identity.rsplit(".", 1)[1])
        found["module"] = f"{static}widgets/{name}/{name}.js"
        found["styles"] = [f"{static}widgets/toolkit.css", f"{static}widgets/{name}/{name}.css"]
    else:
        name = "foreign"
        found |= {"source": source, "css": styles}
    return (
        f'<div class="widget-place widget-{name}">'
        f'<script type="application/json">{script_json(found)}</script>'
        "<noscript><p>This is an interactive figure; it needs JavaScript. The text and tables "
        "below hold the same numbers.</p></noscript></div>"
    )


def script_json(value):
    """JSON that may stand inside a script element."""
    return json.dumps(value, separators=(",", ":")).replace("</", "<\\/").replace("<!--", "<\\!--")


# ---- ipywidgets: recorded ----------------------------------------------------------------------


def walk(state, model_id):
    """The models of a widget's tree, in the order in which a reader would meet them."""
    model = state.get(model_id)
    if model is None:
        return
    yield model
    for child in model["state"].get("children", []):
        yield from walk(state, child.removeprefix(REFERENCE))


def setting(model):
    """(name, value) of a control when the run was recorded; None for anything else."""
    fields = model["state"]
    name = fields.get("description", "").strip().rstrip(":")
    if "_options_labels" in fields:
        index, labels = fields.get("index"), fields["_options_labels"]
        chosen = index if isinstance(index, (list, tuple)) else [index]
        value = ", ".join(labels[i] for i in chosen if i is not None)
    elif model.get("model_name", "").startswith(("HTML", "Label", "Image", "Button", "Output")):
        return None
    elif isinstance(fields.get("value"), (bool, int, float, str, list)) and name:
        value = fields["value"]
        if isinstance(value, bool):
            value = "yes" if value else "no"
        elif isinstance(value, float):
            value = f"{value:.6g}"
        elif isinstance(value, list):
            value = " to ".join(f"{part:.6g}" for part in value)
    else:
        return None
    return (name or "choice", str(value))


def shown(model, settings):
    """What a reader saw of this model besides controls, as HTML: outputs, pictures, text."""
    kind, fields = model.get("model_name", ""), model["state"]
    if kind == "OutputModel":
        return "".join(output(item, settings) for item in fields.get("outputs", []))
    if kind in {"HTMLModel", "HTMLMathModel"}:
        return f'<div class="tex2jax_process">{fields.get("value", "")}</div>'
    if kind == "LabelModel" and fields.get("value"):
        return f"<p>{html.escape(fields['value'])}</p>"
    if kind == "ImageModel":
        for buffer in model.get("buffers", []):
            if buffer["path"] == ["value"] and buffer["data"]:
                return picture(f"image/{fields.get('format', 'png')}", buffer["data"], settings)
    return ""


def output(item, settings):
    """One captured output of a cell, in the richest form that a page can show."""
    kind = item.get("output_type")
    if kind == "stream":
        return f"<pre>{html.escape(text_of(item['text']))}</pre>"
    if kind == "error":
        return f"<pre>{html.escape(item['ename'])}: {html.escape(item['evalue'])}</pre>"
    data = item.get("data", {})
    if "image/svg+xml" in data:
        return text_of(data["image/svg+xml"])
    if "image/png" in data:
        return picture("image/png", text_of(data["image/png"]).replace("\n", ""), settings)
    if "text/html" in data:
        return f'<div class="tex2jax_process">{text_of(data["text/html"])}</div>'
    if "text/latex" in data:
        formula = html.escape(text_of(data["text/latex"]).strip().strip("$").strip())
        return f'<div class="math notranslate nohighlight">\\[{formula}\\]</div>'
    return f"<pre>{html.escape(text_of(data.get('text/plain', '')))}</pre>"


def text_of(value):
    """Notebook text is a string or a list of lines."""
    return value if isinstance(value, str) else "".join(value)


def picture(kind, data, settings):
    values = ", ".join(f"{name} = {value}" for name, value in settings)
    words = f"Recorded output for {values}" if values else "Recorded output"
    return f'<img src="data:{kind};base64,{data}" alt="{html.escape(words)}">'


def recorded_run(state, model_id, run_links):
    """The still that stands where a kernel's widget would be dead."""
    models = list(walk(state, model_id))
    settings = [pair for pair in map(setting, models) if pair]
    buttons = [
        m["state"].get("description", "") for m in models if m["model_name"] == "ButtonModel"
    ]
    rows = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
        for name, value in settings
    )
    pieces = [
        '<section class="recorded-run" aria-label="Recorded run">',
        '<p class="recorded-title">Recorded run</p>',
        f'<dl class="recorded-settings">{rows}</dl>' if rows else "",
        *(shown(model, settings) for model in models),
    ]
    hint = f" Its buttons: {html.escape(', '.join(filter(None, buttons)))}." if any(buttons) else ""
    pieces += [
        f'<p class="recorded-how">The controls call Python, which a page cannot.{hint} '
        f"Run this {run_links}.</p>",
        "</section>",
    ]
    return "".join(pieces)


# ---- the page ----------------------------------------------------------------------------------


def take_state(scripts):
    """Remove the widgets' state from the page's scripts and return it, {model id: model}."""
    for script in list(scripts):
        attributes = getattr(script, "attributes", {})
        if attributes.get("type") == STATE:
            scripts.remove(script)
            return json.loads(attributes["body"])["state"]
    return {}


def host_widgets(app, pagename, templatename, context, doctree):
    """Replace each widget view of the page by a living widget or a recorded run."""
    state = take_state(context.get("script_files", []))
    body = context.get("body") or ""
    if not VIEW.search(body):
        return
    static = context["pathto"]("_static/", 1)
    static = static if static.endswith("/") else static + "/"
    home = context["pathto"](app.config.root_doc)
    binder = binder_address(app, pagename)
    links = f'<a href="{home}#run-it-yourself">on your own machine</a>'
    if binder:
        links = f'<a href="{binder}">in Binder</a> or {links}'

    def replace(view):
        model_id = json.loads(view.group(1))["model_id"]
        model = state.get(model_id)
        if model is None:
            return ""
        if model["model_module"] == "anywidget":
            return live_widget(model, static)
        return recorded_run(state, model_id, links)

    context["body"] = VIEW.sub(replace, body)
    if 'class="widget-place ' in context["body"]:
        app.add_js_file("widget_host.js", type="module", loading_method="async")


def copy_modules(app, exception):
    """Publish the widgets' modules, styles and data, beside one another as in the package."""
    if exception or app.builder.format != "html":
        return
    source, target = (
        Path(app.srcdir) / "minigrad" / "widgets",
        Path(app.outdir) / "_static" / "widgets",
    )
    shutil.rmtree(target, ignore_errors=True)
    not_for_pages = shutil.ignore_patterns("*.py", "__pycache__", "demo.*", "recorded.json", ".*")
    shutil.copytree(source, target, ignore=not_for_pages)


def setup(app):
    os.environ["MINIGRAD_BOOK"] = "1"  # kernels inherit it: a Trainer then records a run at once
    app.connect("html-page-context", host_widgets, priority=800)
    app.connect("build-finished", copy_modules)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
