"""The page widgets as a notebook has them: each as one text, with all their style sheets around.

JupyterLab keeps the style sheet of every widget that was shown, so that a chapter opened after
another one has the sheets of both. The book's pages, and the demo, load modules and sheets apart.
"""

import pytest

from minigrad.widgets.page import CostExplorer, PageWidget, bundle

WIDGETS = {widget.__name__: widget for widget in PageWidget.__subclasses__()}

MOUNT = """async ([name, code, state]) => {
  const set = (key, value) => (state[key] = value);
  const model = { get: (key) => state[key], set, on() {}, off() {}, save_changes() {} };
  const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const { default: widget } = await import(address);
  const el = document.createElement("div");
  el.id = name;
  document.body.append(el);
  await widget.render({ model, el });
}"""

# What JupyterLab says of elements that a widget is made of.
JUPYTERLAB = """
.lab dt { font-weight: bold; float: left; width: 20%; padding: 0; margin: 0; }
.lab dd { float: left; width: 80%; padding: 0; margin: 0; }
"""

# What is looked at: a sheet that changes more than these is hard to think of.
LOOKED = """display position float width height margin padding border text-align font color
    background-color box-shadow opacity fill stroke stroke-width stroke-dasharray""".split()

# The elements of a widget, each with its style, under these sheets in this order.
LOOKS = """async ([name, sheets, looked]) => {
  for (const old of document.querySelectorAll("style:not(#mg-toolkit)")) old.remove();
  for (const sheet of sheets) {
    const style = document.createElement("style");
    style.textContent = sheet;
    document.head.append(style);
  }
  for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
  const looks = (element) => {
    const style = getComputedStyle(element);
    return Object.fromEntries(looked.map((key) => [key, style[key]]));
  };
  const title = (element) => `${element.tagName}.${element.getAttribute("class") ?? ""}`;
  const parts = document.getElementById(name).querySelectorAll("*");
  return [...parts].map((one) => [title(one), looks(one)]);
}"""


@pytest.mark.parametrize("name", WIDGETS)
def test_a_widget_is_one_text_and_no_sheet_but_its_own_changes_it(open_page, package_site, name):
    page = open_page(f"{package_site}/toolkit.css")
    page.set_content("<html lang=en><title>one</title><body class=lab data-theme=light></body>")
    page.emulate_media(reduced_motion="reduce")  # nothing is on its way while we look
    kind = WIDGETS[name]
    widget = kind(measured=[]) if kind is CostExplorer else kind()
    state = {
        key: getattr(widget, key) for key in widget.trait_names(sync=True) if key in vars(kind)
    }
    page.evaluate(MOUNT, [name, str(kind._esm), state])
    own, others = str(kind._css), [str(other._css) for other in WIDGETS.values() if other != kind]
    alone = page.evaluate(LOOKS, [name, [own], LOOKED])
    assert len(alone) > 20, "there is something to look at"
    for sheets in [own, *others], [*others, own], [own, JUPYTERLAB]:
        now = page.evaluate(LOOKS, [name, sheets, LOOKED])
        changed = {
            f"{part}: {key} {old[key]} -> {new[key]}"
            for (part, old), (_, new) in zip(alone, now, strict=True)
            for key in old
            if old[key] != new[key]
        }
        assert not changed, "\n".join(sorted(changed)[:30])


@pytest.mark.parametrize("line", ["export const [a, b] = [1, 2];", "export default 3;"])
def test_what_bundle_cannot_read_it_says(tmp_path, line):
    (tmp_path / "part.js").write_text(line)
    (tmp_path / "whole.js").write_text('import { a } from "./part.js";')
    with pytest.raises(ValueError, match="part.js: bundle cannot read 'export"):
        bundle(tmp_path / "whole.js")
