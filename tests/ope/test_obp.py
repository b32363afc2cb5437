"""Agreement with the Open Bandit Pipeline (obp 0.4.1), and on the sample of data that it ships.

obp is not among the locked packages, because it wants other versions of what the library needs. To
run the first tests, install it without its dependencies: ``pip install --no-deps obp==0.4.1
scikit-learn joblib threadpoolctl narwhals seaborn``. What it answered is kept below.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from slowfast_rl.ope.diagnostics import diagnose
from slowfast_rl.ope.estimators import estimate, importance_weights, predict
from tests.ope.logs import random_choices

TOLERANCE = 1e-12
NAMES = {  # ours and obp's
    "inverse propensity": "InverseProbabilityWeighting",
    "self-normalised": "SelfNormalizedInverseProbabilityWeighting",
    "direct method": "DirectMethod",
    "doubly robust": "DoublyRobust",
}
# What obp 0.4.1 answered for random_choices(seed), in the order of NAMES.
KNOWN = {
    0: [0.5542590652237447, 0.5287997904206039, 0.35217294183931935, 0.536136626892981],
    1: [0.5602504292019033, 0.5807463631359029, 0.348821787800288, 0.5615745594313931],
    2: [0.5556252444602651, 0.5129081567424391, 0.3535432082390339, 0.5296437912065873],
}


def ours(log):
    weights, _ = importance_weights(log.logged, log.propensities, log.target)
    prediction = predict(log.logged, log.target, log.values)
    found = estimate(weights, log.rewards, None, prediction)
    return [found[name].value.mean for name in NAMES]


def theirs(ope, log):
    rows = np.arange(len(log.logged))
    given = {
        "reward": log.rewards,
        "action": log.logged,
        "pscore": log.propensities[rows, log.logged],
        "action_dist": log.target[:, :, None],
        "estimated_rewards_by_reg_model": log.values[:, :, None],
    }
    return [getattr(ope, name)().estimate_policy_value(**given) for name in NAMES.values()]


@pytest.fixture
def ope():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("obp.ope")


@pytest.mark.parametrize("seed", KNOWN)
def test_the_estimators_give_what_obp_gave(seed):
    assert ours(random_choices(seed)) == pytest.approx(KNOWN[seed], abs=TOLERANCE, rel=0)


@pytest.mark.parametrize("seed", range(20))
def test_the_estimators_agree_with_obp_on_random_logs(seed, ope):
    log = random_choices(seed, rows=300 + 50 * seed, actions=2 + seed % 7)
    assert ours(log) == pytest.approx(theirs(ope, log), abs=TOLERANCE, rel=0)


def test_a_uniform_policy_is_found_in_the_sample_of_the_other_policys_log(ope):
    # obp ships 10,000 rows each of a uniform policy and of Bernoulli Thompson sampling.
    folder = Path(sys.modules["obp"].__file__).parent / "dataset" / "obd"
    logs = {}
    for policy in ("random", "bts"):
        path = folder / policy / "all" / "all.csv"
        columns = path.read_text().splitlines()[0].split(",")
        used = [columns.index(n) for n in ("item_id", "click", "propensity_score")]
        logs[policy] = np.loadtxt(path, delimiter=",", skiprows=1, usecols=used)
    items, clicks, propensity = logs["bts"].T
    target = np.full((len(items), int(logs["random"][:, 0].max()) + 1), 0.0)
    target += 1 / target.shape[1]
    weights, given = importance_weights(items.astype(int), propensity, target)
    found = estimate(weights, clicks)
    here = diagnose(weights, given, np.full(len(items), target[0, 0]))
    truth = logs["random"][:, 1].mean()
    assert (len(items), target.shape[1]) == (10_000, 80)
    assert 0.003 < truth < 0.005
    assert found["inverse propensity"].value.low <= truth <= found["inverse propensity"].value.high
    assert here.effective_size < len(items)
