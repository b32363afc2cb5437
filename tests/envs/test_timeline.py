"""What the environments render: a member's weeks as a table and as a picture."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from slowfast_rl.envs import MessagingVectorEnv, PacingVectorEnv
from slowfast_rl.envs.pixels import GLYPH_HEIGHT, write_text
from slowfast_rl.envs.timeline import Timeline
from slowfast_rl.members.population import Population
from tests.members.worlds import world

N = 12


def test_the_table_holds_the_weeks_of_the_population_step_by_step() -> None:
    p = Population(world("eventful"), N, luck_seed=3)
    timeline = Timeline(p.world, N, 4, privileged=True)
    timeline.record(p)
    assert not timeline.values.any()
    rng, weeks = np.random.default_rng(0), []
    for step in range(3 * p.world.slots_per_week):
        p.step(rng.integers(0, 5, N))
        timeline.record(p)
        week = step // p.world.slots_per_week
        push = timeline.names.index("push sends")
        if p.slots.any():
            assert_array_equal(timeline.values[:, push, week], p.sent_this_week[:, 0])
        else:
            weeks.append((p.last_week(), p.simulation.state.goodwill.copy()))
    for number, (week, goodwill) in enumerate(weeks):
        for c, channel in enumerate(p.world.channels):
            for name, counted in (
                ("sends", week.sends),
                ("opens", week.opens),
                ("dismissals", week.dismissals),
                ("opt-outs", week.opt_outs),
            ):
                line = timeline.names.index(f"{channel} {name}")
                assert_array_equal(timeline.values[:, line, number], counted[:, c])
        views = timeline.names.index("viewing days")
        assert_array_equal(timeline.values[:, views, number], week.viewing_days)
        line = timeline.names.index("goodwill")
        assert_allclose(timeline.values[:, line, number], goodwill)
    assert not timeline.values[:, :, 3].any()
    p.restart(np.array([4]))
    before = timeline.values.copy()
    timeline.record(p)
    assert not timeline.values[4].any()
    others = np.delete(np.arange(N), 4)
    assert_array_equal(timeline.values[others], before[others])


@pytest.mark.parametrize("privileged", [False, True])
def test_what_no_company_observes_shows_only_where_it_is_asked_for(privileged: bool) -> None:
    env = PacingVectorEnv(2, "pronounced", weeks=3, privileged=privileged, render_mode="ansi")
    env.reset(seed=1)
    text = env.render()[0]
    assert ("goodwill" in text) == ("push fatigue" in text) == privileged


def test_a_table_names_the_member_and_shows_sends_and_viewing_days() -> None:
    env = PacingVectorEnv(
        1, world("deathless"), weeks=30, first_member=17, luck_seed=1, render_mode="ansi"
    )
    env.reset()
    plan = np.array([env.world.plan_index((3, 1))])
    for _ in range(20):
        env.step(plan)
    lines = env.render()[0].splitlines()
    assert lines[0] == "member 17, week 20 of 30"
    assert lines[1].split() == ["week", *map(str, range(4, 20))], "the newest sixteen weeks"
    sends = next(line for line in lines if line.startswith("push sends"))
    assert set(sends.split()[2:]) <= {"0", "3"}
    views = next(line for line in lines if line.startswith("viewing days"))
    assert views.split()[-1] == f"{env.population.last_week().viewing_days[0]:g}"


def test_a_picture_changes_when_a_message_is_sent() -> None:
    env = MessagingVectorEnv(
        2, world("deathless"), weeks=3, luck_seed=1, first_member=0, render_mode="rgb_array"
    )
    env.reset()
    before = env.render()
    while not env.population.sent_this_week[0].any():
        mask = env.action_masks()[0]
        env.step(np.array([int(mask[1]), 0]))
    after = env.render()
    assert (after[0] != before[0]).any()


def test_text_is_written_inside_the_picture_and_cut_off_at_its_edge() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    write_text(image, 2, 3, "Week 10 of 30", (9, 8, 7))
    written = image.any(axis=2)
    assert written[3 : 3 + GLYPH_HEIGHT].any()
    assert not np.delete(written, np.arange(3, 3 + GLYPH_HEIGHT), axis=0).any()
    assert not written[:, :2].any()
    assert {tuple(color) for color in image[written]} == {(9, 8, 7)}
