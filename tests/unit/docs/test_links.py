"""Links of the pages lead to files and headings that exist."""

import re
from pathlib import Path

import pytest

from tests.unit.docs.pages import PAGES, name_of, text_of, without_blocks


def anchors(page: Path) -> set[str]:
    """As code hosts make them of headings: lower case, hyphens for spaces, no other signs."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links__of_a_page__lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", without_blocks(text_of(page)))
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not leads_somewhere(page, link)] == []


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))
