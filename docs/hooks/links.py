"""Links from pages to files outside ``docs/``, which are in the repository and not on the site.

On the site such a link leads to the repository if ``mkdocs.yml`` names one in ``repo_url``.
Otherwise the path stands there as code, without a link.
"""

import posixpath
import re
from typing import Any

_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)  # code, which has no links
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s#]+)(#[^)]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Return a page's text with the links that the site can follow; mkdocs calls it."""
    return rewritten(markdown, f"docs/{page.file.src_uri}", config.repo_url)


def rewritten(markdown: str, page: str, repository: str | None) -> str:
    """Return a page's text with the links that the site can follow.

    Args:
        markdown: the text.
        page: the page's path in the repository.
        repository: the repository's address; None if it has none.
    """

    def replaced(link: re.Match[str]) -> str:
        text, target, anchor = link.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
        if ":" in target or path.startswith("docs/"):
            return link[0]
        if repository:
            return f"[{text}]({repository.rstrip('/')}/blob/HEAD/{path}{anchor or ''})"
        named = text.strip("`/")
        return f"`{path}`" if path.endswith(named) else f"{text} (`{path}`)"

    parts = _FENCE.split(markdown)
    parts[::2] = [_LINK.sub(replaced, part) for part in parts[::2]]
    return "".join(parts)
