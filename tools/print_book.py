"""The whole book as one PDF: each page printed by Chromium, then bound.

usage: print_book.py [SITE] [PDF]      default: _build/html, and a file beside it in _build

Widgets are printed as they stand when a page opens, so a still shows the numbers that the page
shows. A link from one chapter to another leads to that chapter within the PDF.
"""

import os
import re
import shutil
import sys
import tempfile
import threading
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import yaml
from serve import Handler

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]
BROWSERS += [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
]
READY = """async () => {
  for (const image of document.images) image.loading = "eager";
  await window.MathJax?.startup?.promise;
  while ([...document.querySelectorAll(".widget-place")].some((place) => !place.dataset.state))
    await new Promise((done) => setTimeout(done, 50));
  await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
}"""
FOOT = (
    '<div style="width: 100%; font-size: 8px; text-align: center; color: #555">{title} · '
    '<span class="pageNumber"></span></div>'
)


def pages():
    """(file, the part that begins with it or None) of every page, in the book's order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    yield toc["root"], None
    for part in toc["parts"]:
        for number, chapter in enumerate(part["chapters"]):
            yield chapter["file"], None if number else part["caption"]
    yield "genindex", None


def find_browser():
    """Chromium, or an end that says how to get one."""
    asked = os.environ.get("CHROMIUM")
    found = (shutil.which(name) for name in ([asked] if asked else BROWSERS))
    browser = next(filter(None, found), None)
    if browser is None:
        sys.exit(
            "Printing needs Chromium or Chrome. Install one (Debian: apt install chromium; macOS: "
            "brew install --cask chromium), or name yours: make pdf CHROMIUM=/path/to/it"
        )
    return browser


def print_pages(address, folder):
    """Print every page of the site at `address` to a file of its own; [(name, title, file)]."""
    from playwright.sync_api import sync_playwright

    printed = []
    flags = ["--disable-gpu", "--no-sandbox"] if getattr(os, "getuid", int)() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=flags)
        for name, part in pages():
            page = browser.new_page(viewport={"width": 820, "height": 1100}, color_scheme="light")
            if page.goto(f"{address}/{name}.html", wait_until="load").status != 200:
                sys.exit(f"{name} is in _toc.yml, but not in the built book: run `make book`.")
            page.evaluate(READY)
            title = page.locator("article h1").first.inner_text().removesuffix("#").strip()
            file = folder / f"{len(printed):02}.pdf"
            page.pdf(
                path=file,
                format="A4",
                scale=0.75,
                print_background=True,
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=FOOT.format(title=re.sub(r"[<>&]", "", title)),
                margin={side: "18mm" for side in ("top", "bottom", "left", "right")},
            )
            page.close()
            printed.append((name, part, title, file))
            print(f"printed {title}", flush=True)
        browser.close()
    return printed


def bind(printed, address, target):
    """One PDF with an outline; what linked to a page of the site links within the PDF."""
    from pypdf import PdfReader, PdfWriter
    from pypdf.generic import ArrayObject, DictionaryObject, NameObject

    writer, first, part_entry = PdfWriter(), {}, None
    for name, part, title, file in printed:
        first[f"{address}/{name}.html"] = len(writer.pages)
        writer.append(PdfReader(file), import_outline=False)
        number = first[f"{address}/{name}.html"]
        if part:
            part_entry = writer.add_outline_item(title=part, page_number=number, bold=True)
        writer.add_outline_item(title=title, page_number=number, parent=part_entry)
    for page in writer.pages:
        for reference in page.get("/Annots", ()):
            link = reference.get_object()
            uri = link.get("/A", {}).get("/URI")
            if uri is None:
                continue
            goal = first.get(urlsplit(urljoin(address, uri))._replace(fragment="").geturl())
            if goal is not None:
                where = ArrayObject([writer.pages[goal].indirect_reference, NameObject("/Fit")])
                link[NameObject("/A")] = DictionaryObject(
                    {NameObject("/S"): NameObject("/GoTo"), NameObject("/D"): where}
                )
    writer.add_metadata({"/Title": "Gradients by Hand and by Machine"})
    writer.compress_identical_objects()
    part = target.with_suffix(".part")
    writer.write(part)
    os.replace(part, target)
    return len(writer.pages)


def main(site, target):
    if not (site / "index.html").exists():
        sys.exit(f"There is no built book in {site}: run `make book` first.")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    with tempfile.TemporaryDirectory() as folder:
        count = bind(print_pages(address, Path(folder)), address, target)
    server.shutdown()
    print(f"The book, {count} pages, {target.stat().st_size / 1e6:.1f} MB: {target}")


if __name__ == "__main__":
    given = [Path(word) for word in sys.argv[1:3]]
    site = given[0] if given else ROOT / "_build" / "html"
    default = ROOT / "_build" / "gradients-by-hand-and-by-machine.pdf"
    main(site, given[1] if len(given) > 1 else default)
