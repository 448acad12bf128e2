"""Write the reports of a run from its result record alone."""

import os
import re
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.ledger import DOCUMENT, anchor
from bench.records import Results
from bench.report.blocks import Section
from bench.report.experiments import make_csv
from bench.report.numbers import percent
from bench.report.opening import Opening, make_opening
from bench.report.sections import headline, make_sections
from bench.report.terminal import print_summary
from bench.report.words import banners, title
from shared.files import write_atomically

__all__ = ["print_summary", "write_page", "write_report"]


def write_report(results: Results, folder: Path) -> tuple[Path, Path]:
    """Write `report.md` and `report.html` into `folder` and return their paths.

    A run of experiments also gets `cells.csv`, with all its trainings.
    """
    if results.experiments:
        write_atomically(folder / "cells.csv", make_csv(results.experiments))
    return write_page(
        folder,
        "report",
        title=title(results),
        headline=headline(results),
        opening=make_opening(results),
        banners=banners(results),
        sections=make_sections(results),
    )


def write_page(
    folder: Path,
    name: str,
    *,
    title: str,
    headline: dict[str, str],
    opening: Opening,
    banners: list[str],
    sections: list[Section],
) -> tuple[Path, Path]:
    """Write `<name>.md` and `<name>.html` into `folder` and return their paths."""
    content = {
        "name": name,
        "title": title,
        "headline": headline,
        "opening": opening,
        "banners": banners,
        "sections": sections,
        "document": _path_to_document(folder),
    }
    markdown = make_environment(finalize=escape_markdown)
    html = make_environment(autoescape=True)
    paths = folder / f"{name}.md", folder / f"{name}.html"
    for path, environment in zip(paths, (markdown, html), strict=True):
        template = environment.get_template(f"report{path.suffix}.j2")
        write_atomically(path, template.render(content))
    return paths


def _path_to_document(folder: Path) -> str:
    """Return the relative path from a report to docs/differences.md, or "".

    The path is empty for a report outside the project's folder: there it would be
    right on this machine only. A report inside moves together with the project.
    """
    project = DOCUMENT.parents[1]
    if DOCUMENT.is_file() and folder.resolve().is_relative_to(project):
        return quote(os.path.relpath(DOCUMENT, folder.resolve()))
    return ""


def make_environment(**settings) -> Environment:
    """Return a Jinja2 environment with the report templates and their filters."""
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
    """Return a Markdown code block with a fence that the code cannot close."""
    longest = max(map(len, re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}sh\n{code}\n{fence}")


def escape_markdown(value: object) -> object:
    """Escape a value so that GitHub's Markdown shows it literally.

    `Markup` is returned unchanged.
    """
    if isinstance(value, Markup):
        return value
    text = " ".join(str(value).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~$])", r"\\\1", text)
    # An underscore inside a word needs no escape.
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\_", text)
    return re.sub(r"^([#+-])", r"\\\1", text)
