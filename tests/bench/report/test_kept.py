"""docs/results.md is what the kept reports say, and nothing else."""

import re

from bench.report import kept


def test_page_is_what_the_command_writes(monkeypatch, tmp_path, capsys):
    page = kept.PAGE.read_text()
    monkeypatch.setattr(kept, "PAGE", tmp_path / "results.md")
    kept.main()
    assert (tmp_path / "results.md").read_text() == page
    assert "Written" in capsys.readouterr().out
    assert page.count("the whole report") == 6


def test_links_of_the_page_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)", kept.PAGE.read_text())
    assert len(links) > 6
    for link in links:
        assert (kept.PAGE.parent / link).exists(), link
