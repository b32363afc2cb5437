"""The weekly table of a log: what a company observed of each member in each week."""

from typing import NamedTuple

from slowfast_rl.members.arrays import Bool, Float32, Float64, Int64


class WeeklyLog(NamedTuple):
    """What a company observed of N members in T weeks, one row a week and member."""

    members: Int64  # [N] ids
    plans: Int64  # [T, N] index into ``world.plans`` of the plan in force; -1 where unknown
    drawn: Bool  # [T, N] whether the plan was drawn this Monday (False: it is held from before)
    propensity: Float64  # [T, N] probability with which the plan in force was drawn; NaN if unknown
    sends: Float32  # [T, N, C]
    opens: Float32  # [T, N, C] logged opens
    dismissals: Float32  # [T, N, C]
    opt_outs: Float32  # [T, N, C]
    opted_in: Bool  # [T, N, C] on Monday
    viewing_days: Float32  # [T, N]
    alive: Bool  # [T, N] on Monday: whether the member had not churned
    churned: Bool  # [T, N] at the end of the week
    launches: Float32  # [7 T, D] launches of each day and topic
