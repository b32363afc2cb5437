"""What a week brought."""

from typing import NamedTuple

from slowfast_rl.members.arrays import Float32, Float64


class Week(NamedTuple):
    """What the last completed week brought, per member; zero for the churned."""

    views: Float32  # [N] viewing days, expected or sampled as the population's reward is
    causal_opens: Float32  # [N] responses, expected or sampled likewise
    viewing_days: Float32  # [N] sampled
    sends: Float32  # [N, C]
    opens: Float32  # [N, C] logged
    dismissals: Float32  # [N, C] logged
    opt_outs: Float32  # [N, C]
    churned: Float32  # [N] 1 in the week of the churn
    ignored: Float32  # [N] sends on a channel the member had left
    vetoed: Float32  # [N] sends that the guard turned into holds
    reward: Float64  # [N] the published utility, in viewing days
