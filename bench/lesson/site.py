"""Build the site of the lesson: static pages, which need no network and no server."""

import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pygments.formatters import HtmlFormatter

from bench.ledger import anchor, read_document, read_note, read_titles
from bench.lesson.align import align
from bench.lesson.documents import Page, read_page, render_line
from bench.lesson.highlight import highlight_lines
from bench.lesson.probes import find_probes
from bench.lesson.source import ROOT, SIDES, Code, read_file
from bench.lesson.topics import TOPICS, Topic, list_counterparts
from bench.lesson.walk import SAYS, Step
from shared.files import write_atomically

DOORS = ("run", "read", "teach", "own-images", "use")
DOCUMENTS = ("differences", "cases", "experiments", "results", "method")
STYLES = {"light": "default", "dark": "github-dark"}  # of Pygments
# The pages take the colours of the reports.
TEMPLATES = [ROOT / "bench" / name / "templates" for name in ("lesson", "report")]
REPORTS = ROOT / "reports" / "samples"


def build_site(folder: Path, steps: list[Step]) -> int:
    """Write all pages into a folder, and return their number.

    Args:
        steps: what both programs make of one image.
    """
    titles = read_titles(read_document())
    environment = _make_environment(titles)
    pages: dict[str, tuple[str, dict[str, Any]]] = {
        "index.html": ("index", {"reports": _list_reports()}),
        "names.html": ("names", {"rows": list_counterparts()}),
        "image.html": ("image", {"steps": steps}),
    }
    for before, topic, after in zip(
        (None, *TOPICS), TOPICS, (*TOPICS[1:], None), strict=False
    ):
        content = {"topic": topic, "before": before, "after": after}
        pages[f"topics/{topic.name}.html"] = "topic", content
    documents = {name: read_page(name) for name in DOORS + DOCUMENTS}
    for name, page in documents.items():
        pages[f"{name}.html"] = "document", {"page": page}
    for path in _list_sources():
        pages[f"code/{path}.html"] = "source", {"code": read_file(path)}
    for name, (template, content) in pages.items():
        root = "../" * name.count("/")
        text = environment.get_template(f"{template}.html.j2").render(
            root=root, link=partial(_link_entries, root, titles), **content
        )
        write_atomically(folder / name, text)
    _copy_files(folder, environment)
    index = json.dumps(_make_index(documents), indent=0)
    write_atomically(folder / "search.js", f"const PAGES = {index};\n")
    return len(pages)


def _make_environment(titles: dict[str, str]) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals |= {
        "topics": TOPICS,
        "sides": SIDES,
        "align": align,
        "norm": lambda values: float(np.linalg.norm(values.astype(np.float64))),
        "titles": titles,
        "read_note": read_note,
        "highlight": highlight_lines,
        "render_line": render_line,
        "probes": find_probes,
        "styles": {
            scheme: Markup(HtmlFormatter(style=style).get_style_defs(".code"))
            for scheme, style in STYLES.items()
        },
    }
    environment.filters |= {"anchor": anchor}
    return environment


def _link_entries(root: str, titles: dict[str, str], html: str) -> Markup:
    """Make a mark such as [D01] in highlighted code a link to its entry."""

    def link(found: re.Match) -> str:
        title = f"{found[1]} {titles[found[1]]}"
        place = f"{root}differences.html#{anchor(title)}"
        label = Markup.escape(f"{title}. {read_note(found[1]).effect}")
        return f'<a href="{place}" title="{label}">{found[0]}</a>'

    return Markup(re.sub(r"\[(D\d\d)\]", link, html))


def _list_sources() -> list[str]:
    """Return the files of both programs, plain and matched, and those of the cases."""
    folders = ("", "matched/", "differences/")
    patterns = [f"{side}_impl/{folder}*.py" for side in SIDES for folder in folders]
    return [
        path.relative_to(ROOT).as_posix()
        for pattern in (*patterns, "cases/*/*_side.py")
        for path in sorted(ROOT.glob(pattern))
        if path.name != "__init__.py"
    ]


def _list_reports() -> list[str]:
    return [path.parent.name for path in sorted(REPORTS.glob("*/report.html"))]


def _copy_files(folder: Path, environment: Environment) -> None:
    style = environment.get_template("site.css.j2").render()
    write_atomically(folder / "site.css", style)
    shutil.copyfile(TEMPLATES[0] / "site.js", folder / "site.js")
    shutil.copytree(ROOT / "docs" / "pictures", folder / "pictures", dirs_exist_ok=True)
    shutil.copyfile(ROOT / "docs" / "report.png", folder / "report.png")
    for name in _list_reports():
        (folder / "reports" / name).mkdir(parents=True, exist_ok=True)
        for file in ("report.html", "cells.csv"):
            if (REPORTS / name / file).is_file():
                shutil.copyfile(REPORTS / name / file, folder / "reports" / name / file)


def _make_index(documents: dict[str, Page]) -> list[dict[str, str]]:
    """Return what the search finds: titles with their texts and their places."""
    found = [_entry_of_topic(topic) for topic in TOPICS]
    says = " ".join(f"{name}. {text}" for name, text in SAYS.items())
    found.append(
        {
            "title": "One image through both programs",
            "text": f"shape layout dtype range of each step. {says}",
            "place": "image.html",
        }
    )
    for row in list_counterparts():
        found.append(
            {
                "title": f"{row.keras} in Keras, {row.pytorch} in PyTorch",
                "text": row.topic.title,
                "place": f"topics/{row.topic.name}.html",
            }
        )
    for name, page in documents.items():
        for section in page.sections:
            place = f"{name}.html#{section.anchor}"
            found.append({"title": section.title, "text": section.text, "place": place})
    return found


def _entry_of_topic(topic: Topic) -> dict[str, str]:
    codes: list[Code] = [code for side in SIDES for code in topic.codes(side)]
    names = sorted(set().union(*(topic.names(side) for side in SIDES)))
    comments = re.findall(r"# (.+)", "\n".join(code.text for code in codes))
    return {
        "title": topic.title,
        "text": " ".join([topic.says, topic.also, *comments, *names]),
        "place": f"topics/{topic.name}.html",
    }
