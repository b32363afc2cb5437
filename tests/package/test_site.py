"""The documentation's site: built without a warning, complete, and independent of a network."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import util
from pathlib import Path
from urllib.parse import unquote

import pytest

import slowfast_rl as sf
from tests.pages import ROOT
from tests.waiting import HANG_SECONDS

MODULES = (sf.agents, sf.envs, sf.evaluation, sf.fast, sf.slow, sf.store)


class Page(HTMLParser):
    """What a page of the site refers to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []  # that a reader may follow
        self.parts: list[str] = []  # that the browser fetches
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        fetched = found.get("href") if tag == "link" else found.get("src")
        if fetched:
            self.parts.append(fetched)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built as ``make docs`` builds it, and its pages by path."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, capture_output=True, text=True, timeout=HANG_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, {path: Page(path) for path in sorted(folder.rglob("*.html"))}


def test_every_link_of_the_site_leads_to_a_page_and_an_anchor_of_it(site):
    _, pages = site
    for path, page in pages.items():
        for target in page.links + page.parts:
            if re.match(r"\w+:|//", target) or path.name == "404.html":
                continue
            name, _, anchor = unquote(target).partition("#")
            aimed = (path.parent / name).resolve() if name else path
            assert aimed.is_file(), f"{path.name}: {target}"
            if anchor and aimed in pages and not anchor.startswith("__"):
                assert anchor in pages[aimed].anchors, f"{path.name}: {target}"


def test_the_site_fetches_nothing_from_elsewhere(site):
    folder, pages = site
    for path, page in pages.items():
        for part in page.parts:
            assert not re.match(r"https?:|//", part), f"{path.name}: {part}"
    for style in folder.rglob("*.css"):
        assert not re.search(r"(url\(|@import )[\"']?(https?:|//)", style.read_text()), style


def test_every_public_name_is_documented(site):
    folder, pages = site
    anchors = set.union(*(page.anchors for page in pages.values()))
    missing = [
        f"{module.__name__}.{name}"
        for module in MODULES
        for name in module.__all__
        if f"{module.__name__}.{name}" not in anchors
    ]
    assert missing == []
    shown = {anchor.rpartition(".")[2] for anchor in anchors}
    assert set(sf.policies.__all__) <= shown
    overview = (folder / "api" / "index.html").read_text()
    assert [name for name in sf.__all__ if f"<code>sf.{name}</code>" not in overview] == []


def test_docstrings_are_shown_completed_and_without_the_marks_of_another_language(site):
    folder, _ = site
    text = "".join(path.read_text() for path in (folder / "api").glob("*.html"))
    assert not re.search(r":(class|func|meth|attr|data|mod):", text)
    assert "{observation_table}" not in text
    assert "viewing_days_{this_week, last_week" in text
    assert "number of members branched in an iteration" in text  # a setting of RolloutPlanner


def load(name: str):
    """Return a module of docs/hooks."""
    spec = util.spec_from_file_location(name, ROOT / "docs" / "hooks" / f"{name}.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "plain", "linked"),
    [
        ("[`members/a.py`](../slowfast_rl/members/a.py)", "`slowfast_rl/members/a.py`",
         "[`members/a.py`](https://host/it/blob/HEAD/slowfast_rl/members/a.py)"),
        ("[the layers](../CONTRIBUTING.md#layers)", "the layers (`CONTRIBUTING.md`)",
         "[the layers](https://host/it/blob/HEAD/CONTRIBUTING.md#layers)"),
        ("[pacing](../experiments/pacing/)", "`experiments/pacing`",
         "[pacing](https://host/it/blob/HEAD/experiments/pacing)"),
        ("[seeds](seeds.md#twins)", None, None),
        ("[a page](decisions/README.md)", None, None),
        ("[below](#twins)", None, None),
        ("[hydra](https://hydra.cc)", None, None),
        ("```\n[not a link](../x.py)\n```", None, None),
    ],
)  # fmt: skip
def test_a_link_to_a_file_outside_the_site_is_code_or_leads_to_the_repository(text, plain, linked):
    rewritten = load("links").rewritten
    assert rewritten(text, "docs/page.md", None) == (plain or text)
    assert rewritten(text, "docs/page.md", "https://host/it/") == (linked or text)


def test_a_link_is_relative_to_its_page():
    text = "[`x.py`](../../tests/x.py) and [seeds](../seeds.md)"
    found = load("links").rewritten(text, "docs/decisions/0001-a.md", None)
    assert found == "`tests/x.py` and [seeds](../seeds.md)"


def test_the_tables_of_the_configuration_are_those_of_the_code():
    module = load("config_page")
    text = module.PAGE.read_text()
    begin, end = f"<!-- {module.BLOCK} -->\n", f"\n<!-- /{module.BLOCK} -->"
    written = text.partition(begin)[2].partition(end)[0]
    assert written == module.page_block(), "run python docs/hooks/config_page.py"
