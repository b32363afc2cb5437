"""Every code block of the README and of docs/*.md runs; every link leads somewhere."""

import re
from pathlib import Path

import pytest
import yaml

import slowfast_rl as sf
from tests.pages import ROOT, Block, anchors_of, blocks_of, follow, sections_of

PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
LANGUAGES = {"", "bash", "json", "markdown", "python", "yaml"}
BY_SECTION = {"docs/extending.md"}  # each section of which has a folder of its own
# What is not run, by page and the block's beginning, and why.
NOT_RUN = {
    ("README.md", "make train"): "sets up an environment; continuous integration runs make",
    ("docs/scaling.md", "slowfast-plan checkpoint=a members=features engine=ray"): "needs Ray",
    ("docs/scaling.md", "from slowfast_rl.policies.ray_workers"): "needs Ray",
    ("docs/scaling.md", "slowfast-train -m seed=0,1,2"): "needs joblib and Ray",
}
# What runs with less: the page, what it says, and what is run.
SMALLER = [("README.md", "total_opportunities=100_000_000", "total_opportunities=1_000_000")]
OUTSIDE = ("http://", "https://", "mailto:")


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def is_run(page: str, block: Block) -> bool:
    return not any(page == p and block.text.startswith(start) for p, start in NOT_RUN)


def is_long(blocks: list[Block]) -> bool:
    """Commands take seconds each, of which their start is most."""
    return any(block.language == "bash" for block in blocks)


def units() -> list:
    """What is followed in a folder of its own: a page, or a section of a page of sections."""
    found = []
    for page in PAGES:
        text = text_of(page)
        for old, new in ((o, n) for p, o, n in SMALLER if p == page):
            text = text.replace(old, new)
        parts = sections_of(text) if page in BY_SECTION else {"": blocks_of(text)}
        for section, every in parts.items():
            blocks = [block for block in every if is_run(page, block)]
            long = page == "README.md" or is_long(blocks)
            if any(block.language in ("bash", "python") for block in blocks):
                marks = [pytest.mark.long] if long else []
                found.append(
                    pytest.param(page, blocks, id=f"{page} {section}".strip(), marks=marks)
                )
    return found


@pytest.mark.parametrize(("page", "blocks"), units())
def test_the_code_of_a_page_runs_as_it_stands_there(page, blocks, tmp_path):
    follow(blocks, tmp_path, page)


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_compiles_and_uses_names_that_exist(page):
    for block in blocks_of(text_of(page)):
        assert block.language in LANGUAGES
        if block.language == "yaml":
            yaml.safe_load(block.text)
        if block.language != "python":
            continue
        compile(block.text, page, "exec")
        for path in re.findall(r"\bsf\.([\w.]+)", block.text):
            value = sf
            for part in path.split("."):
                value = getattr(value, part)


def test_what_is_not_run_or_run_with_less_is_still_there():
    for page, start in NOT_RUN:
        assert any(block.text.startswith(start) for block in blocks_of(text_of(page))), start
    for page, old, _ in SMALLER:
        assert old in text_of(page)


def documents() -> list[Path]:
    patterns = (
        "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md", "experiments/*/README.md",
    )  # fmt: skip
    return [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_links_of_a_document_lead_to_files_and_headings_that_exist(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if target.startswith(OUTSIDE):
            continue
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        assert path.exists(), target
        if anchor:
            assert anchor in anchors_of(path.read_text()), target
