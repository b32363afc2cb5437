"""What was measured, as Markdown."""

from typing import Any


def tables(results: dict[str, Any]) -> str:
    """Return three tables: exact gains, one test, coverage of small tests."""
    swaps = [f"| {row['swap']} | {_interval(row['gain'])} |" for row in results["swaps"]]
    one = [
        f"| {name} | {_pair(row, 'estimate', 'ci95')} | "
        f"{_pair(row, 'unadjusted', 'unadjusted_ci95')} | {row['truth']:+.2f} |"
        for name, row in results["one_test"]["effects"].items()
    ]
    small = results["coverage"]
    rows = []
    for name, adjusted in small["adjusted"].items():
        plain = small["unadjusted"][name]
        rows.append(
            f"| {name} | {adjusted['covered'] / small['tests']:.1%} | {adjusted['width']:.2f} | "
            f"{plain['covered'] / small['tests']:.1%} | {plain['width']:.2f} | "
            f"{adjusted['width'] / plain['width']:.2f} |"
        )
    return "\n".join(
        [
            f"`{results['command']}` wrote these tables: world `{results['world']}`, "
            f"{results['pool']:,} members that no training sees, {results['weeks']} weeks after "
            "the burn-in, one luck; discounted viewing days, 95 % intervals.",
            "",
            "Exact gains on twins, paired over members:",
            "",
            "| what is exchanged | gain |",
            "| --- | --- |",
            *swaps,
            "",
            f"One test on all {results['pool']:,} members, a quarter of them in each arm pair:",
            "",
            "| effect | adjusted | unadjusted | truth |",
            "| --- | --- | --- | --- |",
            *one,
            "",
            f"{small['tests']:,} tests of {small['members']} members each, drawn from the pool:",
            "",
            "| effect | covered, adjusted | width | covered, unadjusted | width | ratio |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
        ]
    )


def _interval(values: list[float]) -> str:
    return f"{values[0]:+.2f} [{values[1]:+.2f}, {values[2]:+.2f}]"


def _pair(row: dict[str, Any], mean: str, ends: str) -> str:
    return _interval([row[mean], *row[ends]])
