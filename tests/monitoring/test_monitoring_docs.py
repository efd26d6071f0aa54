"""The pages on monitoring name what is shipped, in both languages."""

from __future__ import annotations

import re

import pytest
from shipped_files import ROOT, panels, rules

DOCS = ["docs/monitoring.md", "docs/monitoring.ja.md"]
PAGES = [*DOCS, "examples/monitoring/README.md", "examples/monitoring/README.ja.md"]


def rows(page: str) -> list[list[str]]:
    """The cells of every table row."""
    lines = ROOT.joinpath(page).read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


@pytest.mark.parametrize("page", DOCS)
def test_every_panel_is_told_in_the_order_of_the_dashboard(page):
    titles = [panel["title"] for panel in panels()]
    assert [row[1] for row in rows(page) if row[1] in titles] == titles


@pytest.mark.parametrize("page", DOCS)
def test_every_alert_is_told_with_how_long_it_waits(page):
    waits = {rule["alert"]: int(rule["for"].removesuffix("m")) for rule in rules() if "alert" in rule}
    told = {row[0]: int(re.findall(r"\d+", row[2])[0]) for row in rows(page) if row[0] in waits}
    assert told == waits


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page):
    path = ROOT / page
    targets = re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8"))
    assert targets
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_the_pages_say_that_grafana_has_not_rendered_the_dashboard():
    assert "has not been rendered by Grafana" in ROOT.joinpath(DOCS[0]).read_text(encoding="utf-8")
    assert "Grafana で描画していません" in ROOT.joinpath(DOCS[1]).read_text(encoding="utf-8")
