"""The report of an off-policy evaluation: one HTML file. Needs the extra ``report``."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from slowfast_rl.evaluation.formatting import number
from slowfast_rl.evaluation.report import made_with, page_environment
from slowfast_rl.ope.result import OffPolicyResult
from slowfast_rl.store.files import write_text_atomically


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
    made = page_environment("slowfast_rl.ope")
    made.filters["estimate"] = number
    made.filters["sentence"] = lambda text: text[:1].upper() + text[1:] + "."
    first = results[0]
    text = made.get_template("ope.html").render(
        kind=first.kind,
        unit=first.unit,
        logged=f"{first.logged:.{first.digits}f}",
        results=results,
        refused=refused,
        log=log,
        command=command,
        **made_with(),
    )
    write_text_atomically(path, text)
