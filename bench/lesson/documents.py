"""Turn the documents of docs/ into pages of the site."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from bench.ledger import anchor
from bench.lesson.source import ROOT


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it.

    Attributes:
        anchor: place of the heading in the page.
        text: what the search reads.
        html: without the heading.
    """

    title: str
    anchor: str
    level: int
    text: str
    html: Markup


@dataclass(frozen=True)
class Page:
    """A document: its title, and its sections in their order."""

    title: str
    sections: list[Section]


def read_page(name: str) -> Page:
    """Return a document of docs/ as a page.

    Links to other documents, to code and to kept reports lead to their pages. Other
    links into the project lead nowhere, and only their text is kept.
    """
    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse((ROOT / "docs" / f"{name}.md").read_text())
    starts = [i for i, token in enumerate(tokens) if token.type == "heading_open"]
    sections = []
    for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
        title = _text(tokens[start + 1 : start + 2])
        body = tokens[start + 3 : end]
        for token in body:
            _redirect(token)
        sections.append(
            Section(
                title,
                anchor(title),
                int(tokens[start].tag[1]),
                _text(body),
                Markup(_scrollable(parser.renderer.render(body, parser.options, {}))),
            )
        )
    return Page(sections[0].title, sections)


def render_line(text: str) -> Markup:
    """Return a line of Markdown as HTML."""
    return Markup(MarkdownIt("commonmark").renderInline(text))


def _scrollable(html: str) -> str:
    """Let wide tables scroll in a box of their own, for narrow screens."""
    html = html.replace("<table>", '<div class="scroll" tabindex="0"><table>')
    return html.replace("</table>", "</table></div>")


def _text(tokens: list[Token]) -> str:
    """Return the text of tokens, without their marks."""
    inner = (
        child.content
        for token in tokens
        for child in (token.children or [])
        if child.type in ("text", "code_inline")
    )
    return " ".join(" ".join(inner).split())


def _redirect(token: Token) -> None:
    for child in token.children or []:
        if child.type == "link_open":
            place = find_place(f"{child.attrs.pop('href')}")
            if place:
                child.attrs["href"] = place
        elif child.type == "text" and re.fullmatch(r"[\w./-]+\.md", child.content):
            child.content = PurePosixPath(child.content).stem  # a page has no ending
    if token.type == "html_block" and token.content.startswith("<!--"):
        token.content = ""


def find_place(href: str) -> str:
    """Return where a link of a document leads on the site; "" if nowhere."""
    if re.match(r"https?:|#", href):
        return href
    path, mark, fragment = href.partition("#")
    parts = PurePosixPath(path).parts
    if parts[0] == "pictures":
        return href
    if len(parts) == 1:  # another document
        return f"{path.removesuffix('.md')}.html{mark}{fragment}"
    if parts[:3] == ("..", "reports", "samples") and len(parts) == 5:
        return f"reports/{parts[3]}/{parts[4].replace('.md', '.html')}"
    is_code = parts[1].endswith("_impl") or parts[1] == "cases"
    if is_code and path.endswith(".py"):
        return f"code/{'/'.join(parts[1:])}.html"
    if parts[-1] == "README.md":
        return "index.html"
    return ""
