"""Reports made from the result record alone."""

import os
import re
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.records import Results
from bench.report.division import anchor
from bench.report.numbers import percent
from bench.report.opening import make_opening
from bench.report.sections import headline, make_sections
from bench.report.terminal import print_summary
from bench.report.titles import DOCUMENT
from bench.report.words import banners, title
from shared.files import write_atomically

__all__ = ["print_summary", "write_report"]


def write_report(results: Results, folder: Path) -> tuple[Path, Path]:
    """Write `report.md` and `report.html` into `folder` and return their paths."""
    content = {
        "title": title(results),
        "headline": headline(results),
        "opening": make_opening(results),
        "banners": banners(results),
        "sections": make_sections(results),
        "document": _path_to_document(folder),
    }
    markdown = make_environment(finalize=escape_markdown)
    html = make_environment(autoescape=True)
    paths = folder / "report.md", folder / "report.html"
    for path, environment in zip(paths, (markdown, html), strict=True):
        page = environment.get_template(f"{path.name}.j2").render(content)
        write_atomically(path, page)
    return paths


def _path_to_document(folder: Path) -> str:
    """Relative path of docs/differences.md; empty where it could not stay right.

    A report within the project's own folder can be moved with it, as Git does; the
    path from any other folder would be that of one machine.
    """
    project = DOCUMENT.parents[1]
    if DOCUMENT.is_file() and folder.resolve().is_relative_to(project):
        return quote(os.path.relpath(DOCUMENT, folder.resolve()))
    return ""


def make_environment(**settings) -> Environment:
    """Jinja2 with the templates of reports and their filters."""
    environment = Environment(
        loader=PackageLoader("bench.report"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        **settings,
    )
    environment.filters |= {"fenced": fenced, "anchor": anchor, "percent": percent}
    return environment


def fenced(code: str) -> Markup:
    """A Markdown code block whose fence is longer than any run of ticks inside."""
    longest = max(map(len, re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}sh\n{code}\n{fence}")


def escape_markdown(value: object) -> object:
    """Make a value show as it is in GitHub's Markdown; `Markup` stays as it is."""
    if isinstance(value, Markup):
        return value
    text = " ".join(str(value).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~$])", r"\\\1", text)
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\_", text)  # inside a word it is plain
    return re.sub(r"^([#+-])", r"\\\1", text)
