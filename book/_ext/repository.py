"""Links to the repository, only where its address is known.

A wrong address makes every launch button a dead link, so none is written into the configuration.
The address comes, in this order, from BOOK_REPOSITORY_URL, from GitHub's own environment while a
workflow runs, and from the git remote ``origin`` where that is on GitHub. Where there is none,
the page has no launch buttons.
"""

import os
import re
import subprocess

from sphinx.errors import ConfigError

BINDER = "https://mybinder.org"
GITHUB = re.compile(
    r"(?:https://|git@|ssh://git@)(?:[^@/]*@)?github\.com[:/]([\w.-]+)/([\w.-]+?)(?:\.git)?/?"
)


def find_repository(root, environment=os.environ):
    """The repository as https://github.com/owner/name, or "" where nothing tells it."""
    given = environment.get("BOOK_REPOSITORY_URL", "").strip()
    if given:
        match = GITHUB.fullmatch(given)
        if not match:
            raise ConfigError(
                f"BOOK_REPOSITORY_URL is {given!r}; expected https://github.com/OWNER/NAME. "
                "Correct it, or unset it to build without launch buttons."
            )
        return "https://github.com/{}/{}".format(*match.groups())
    if environment.get("GITHUB_REPOSITORY"):
        return f"https://github.com/{environment['GITHUB_REPOSITORY']}"
    command = ["git", "-C", str(root), "remote", "get-url", "origin"]
    try:
        remote = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:  # no git here
        return ""
    match = GITHUB.fullmatch(remote)
    return "https://github.com/{}/{}".format(*match.groups()) if match else ""


def configure(app, config):
    """Hand the address to the theme, whose buttons for Binder and the repository then appear.
    BOOK_SITE_URL is where the site is published, if anybody tells."""
    config.html_baseurl = os.environ.get("BOOK_SITE_URL", "")
    address = find_repository(app.srcdir)
    config.html_theme_options["repository_url"] = address
    if address:
        config.html_theme_options["use_repository_button"] = True
        config.html_theme_options["launch_buttons"]["binderhub_url"] = BINDER


def binder_address(app, docname):
    """Where Binder opens the chapter as a notebook; "" where the repository is not known.

    Not the chapter's source, whose directives a notebook shows as they are written, but the
    notebook that is made from it: `.binder/postBuild` puts those of all chapters into one folder.
    """
    address = app.config.html_theme_options.get("repository_url")
    if not address:
        return ""
    owner_and_name = address.removeprefix("https://github.com/")
    branch = app.config.html_theme_options.get("repository_branch", "main")
    notebook = f"notebooks/{docname.removeprefix('book/')}.ipynb"
    return f"{BINDER}/v2/gh/{owner_and_name}/{branch}?urlpath=lab/tree/{notebook}"


def point_to_notebook(app, pagename, templatename, context, doctree):
    """The theme's own button leads to the source; let it lead where all our links lead."""
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button.get("text") == "Binder":
                button["url"] = binder_address(app, pagename)


def setup(app):
    app.connect("config-inited", configure)
    app.connect("html-page-context", point_to_notebook, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
