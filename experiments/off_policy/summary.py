"""How near estimates come to the truth, over logs and policies."""

import numpy as np

BASE = "0 + 0"  # what holding a plan hides is measured over this one


def summaries(rows, kind):
    """Return one row for each horizon and method of a kind."""
    rows, found = [r for r in rows if r["kind"] == kind], []
    for horizon in sorted({r["horizon"] for r in rows}):
        some = [r for r in rows if r["horizon"] == horizon]
        scale = 1 if horizon else 1000
        truth = scale * np.array([r["truth"] for r in some])
        for method in some[0]["lifts"]:
            lift = scale * np.array([r["lifts"][method] for r in some])
            width, of_ipw = lift[:, 2] - lift[:, 1], widths(some, "inverse propensity", method)
            right = pairs(some, method)
            error = lift[:, 0] - truth
            found.append(
                {
                    "horizon": horizon, "method": method, "bias": error.mean(),
                    "rmse": (error**2).mean() ** 0.5,
                    "variance": ((width / (scale * of_ipw)) ** 2).mean(),
                    "coverage": ((lift[:, 1] <= truth) & (truth <= lift[:, 2])).mean(),
                    "ranked": np.mean([ok for ok, _ in right]),
                    "clear": share([ok for ok, gap in right if gap]),
                }
            )  # fmt: skip
    return found


def share(flags):
    """Return the share that is true; None of nothing."""
    return float(np.mean(flags)) if flags else None


def widths(rows, method, otherwise):
    """Return the widths of a method's intervals, or of another's where there is none."""
    ends = [r["lifts"].get(method, r["lifts"][otherwise]) for r in rows]
    return np.array([high - low for _, low, high in ends])


def pairs(rows, method):
    """Return, for each two policies of a log, whether they are ranked right and have a gap."""
    found = []
    for a in rows:
        for b in rows:
            if a["log"] == b["log"] and a["policy"] < b["policy"]:
                gap = a["truth"] - b["truth"]
                (x, low, high), (y, *ends) = a["lifts"][method], b["lifts"][method]
                error = np.hypot(high - low, ends[1] - ends[0]) / 2 / 1.96
                found.append((bool((x - y) * gap > 0), bool(abs(gap) > 2 * error)))
    return found


def holding(rows):
    """Return what the policy "utility" gains over no sends, planned once and every week."""
    found = []
    for horizon in sorted({r["horizon"] for r in rows if r["kind"] == "held"}):
        some = [r for r in rows if (r["kind"], r["horizon"]) == ("held", horizon)]
        mean = {
            (policy, name): np.mean([r[name] for r in some if r["policy"] == policy])
            for policy in ("utility", BASE)
            for name in ("held", "replanned")
        }
        once, weekly = (mean["utility", n] - mean[BASE, n] for n in ("held", "replanned"))
        found.append({"horizon": horizon, "once": once, "weekly": weekly, "share": once / weekly})
    return found
