"""The report of an off-policy evaluation: one HTML file. Needs the extra ``report``."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import slowfast_rl
from slowfast_rl.evaluation.formatting import number
from slowfast_rl.ope.result import OffPolicyResult
from slowfast_rl.store.files import write_text_atomically

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
except ImportError as error:
    raise ImportError("the report needs jinja2: pip install 'slowfast_rl[report]'") from error


def write_report(
    results: Sequence[OffPolicyResult],
    refused: Mapping[str, str],
    path: Path,
    log: str,
    command: str,
) -> None:
    """Write the report.

    Args:
        results: one for each policy, best first; at least one.
        refused: why the other policies could not be evaluated, by name.
        path: of the HTML file.
        log: name of the log.
        command: the command line that made the results.
    """
    made = Environment(
        loader=PackageLoader("slowfast_rl.ope"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["interval"] = number
    made.filters["capitalize"] = lambda text: text[:1].upper() + text[1:]
    first = results[0]
    text = made.get_template("ope.html").render(
        what=first.kind,
        kind=first.kind,
        unit=first.unit,
        logged=f"{first.logged:.{first.digits}f}",
        results=results,
        refused=refused,
        log=log,
        command=command,
        version=slowfast_rl.__version__,
    )
    write_text_atomically(path, text)
