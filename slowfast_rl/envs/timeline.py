"""A member's episode week by week, as text or as a picture: what the environments render."""

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.envs.pixels import GLYPH_HEIGHT, write_text
from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import DISMISSALS, LAST, OPENS, OPT_OUTS, SENDS, THIS
from slowfast_rl.members.world import World

Frame = NDArray[np.uint8]  # [height, width, 3]

_EVENTS = (("sends", SENDS), ("opens", OPENS), ("dismissals", DISMISSALS), ("opt-outs", OPT_OUTS))
_WIDTH, _MARGIN, _PANEL, _GAP = 640, 12, 64, 30
_TEXT_WEEKS = 16  # the text shows the newest weeks
_BACKGROUND, _AXIS, _INK = (255, 255, 255), (200, 200, 200), (40, 40, 40)
_COLORS = {
    "sends": (174, 199, 232),
    "opens": (31, 119, 180),
    "dismissals": (214, 39, 40),
    "opt-outs": (0, 0, 0),
}
_VIEWS, _LATENTS = (44, 160, 44), (255, 127, 14)


class Timeline:
    """What happened to each member in each week of its episode.

    The lines of the table are each channel's sends, opens, dismissals and opt-outs, then viewing
    days and, if ``privileged`` is true, each channel's fatigue and the member's goodwill.

    Args:
        world: the world.
        num_envs: N, the members.
        weeks: W, the weeks of an episode.
        privileged: whether fatigue and goodwill are shown.
    """

    def __init__(self, world: World, num_envs: int, weeks: int, privileged: bool) -> None:
        self.world, self.privileged = world, privileged
        names = [f"{channel} {event}" for channel in world.channels for event, _ in _EVENTS]
        names.append("viewing days")
        if privileged:
            names += [f"{channel} fatigue" for channel in world.channels] + ["goodwill"]
        self.names = tuple(names)
        self.values = np.zeros((num_envs, len(names), weeks), np.float32)  # [N, L, W]
        self._members = np.zeros(num_envs, np.int64)
        self._weeks = np.zeros(num_envs, np.int64)  # weeks that have begun
        self._churned = np.zeros(num_envs, np.bool_)

    def record(self, population: Population, since: int = 0) -> None:
        """Record the present week of N members; a member whose episode begins starts anew.

        A member's last week is that in which it churned.

        Args:
            population: the members.
            since: the week of their episodes with which the timeline begins.
        """
        log, state = population.simulation.log, population.simulation.state
        rows, weeks = np.arange(population.num_members), population.weeks.astype(np.int64)
        ended = population.slots == 0  # the week before this one is complete
        window = np.where(ended, LAST, THIS)
        lines = [
            log.by_channel[rows, c, first + window]
            for c in range(len(self.world.channels))
            for _, first in _EVENTS
        ]
        lines.append(log.by_member[rows, window])
        if self.privileged:
            lines += [*state.fatigue.T, state.goodwill]
        week = weeks - ended - since
        self.values[week < 0] = 0
        gone = self._churned & (week >= 0)  # it churned in a week that is recorded
        shown = (week >= 0) & (week < self.values.shape[2]) & ~gone
        self.values[rows[shown], :, week[shown]] = np.stack(lines, axis=1)[shown]
        self._members = population.members
        self._weeks = np.where(gone, self._weeks, np.maximum(week + 1, 0))
        self._churned = ~population.alive & (week >= 0)

    def weeks(self, row: int) -> int:
        """Return how many weeks of a row's member are recorded: those that have begun."""
        return min(int(self._weeks[row]), self.values.shape[2])

    def text(self, row: int) -> str:
        """Return the newest weeks of a row's member as a table, one line per event."""
        end = self.weeks(row)
        weeks = range(max(end - _TEXT_WEEKS, 0), end)
        width = max(map(len, self.names))
        lines = [self._title(row), f"{'week':{width}}" + "".join(f"{w:6}" for w in weeks)]
        for name, values in zip(self.names, self.values[row], strict=True):
            lines.append(f"{name:{width}}" + "".join(f"{values[w]:6.3g}" for w in weeks))
        return "\n".join(lines) + "\n"

    def image(self, row: int) -> Frame:
        """Return a picture of a row's member, [height, 640, 3], one panel per channel or value.

        A channel's bars are the week's sends (light blue), of which opens (blue); dismissals (red)
        hang from above, and a black line is an opt-out.
        """
        values = dict(zip(self.names, self.values[row], strict=True))
        channels = self.world.channels
        panels = len(channels) + 1 + (2 if self.privileged else 0)
        image = np.full((_GAP + panels * (_PANEL + _GAP), _WIDTH, 3), _BACKGROUND, np.uint8)
        write_text(image, _MARGIN, 8, self._title(row), _INK)
        top = _GAP
        for c, channel in enumerate(channels):
            most = sum(slot.channel == c for slot in self.world.schedule)
            top = _panel(image, top, f"{channel} sends, opens, dismissals: 0-{most}")
            for event in ("sends", "opens", "dismissals"):
                heights = values[f"{channel} {event}"] / most
                _bars(image, top, heights, _COLORS[event], hanging=event == "dismissals")
            _bars(image, top, values[f"{channel} opt-outs"], _COLORS["opt-outs"], thin=True)
        top = _panel(image, top, "viewing days: 0-7")
        _bars(image, top, values["viewing days"] / 7, _VIEWS)
        if self.privileged:
            fatigue = np.max([values[f"{channel} fatigue"] for channel in channels], axis=0)
            peak = max(float(fatigue.max()), 1.0)
            top = _panel(image, top, f"fatigue of the most tired channel: 0-{peak:.1f}")
            _bars(image, top, fatigue / peak, _LATENTS)
            top = _panel(image, top, "goodwill: 0-1")
            _bars(image, top, values["goodwill"], _LATENTS)
        return image

    def _title(self, row: int) -> str:
        return f"member {self._members[row]}, week {self._weeks[row]} of {self.values.shape[2]}"


def _panel(image: Frame, top: int, title: str) -> int:
    """Draw a panel's title and axis below a line of the image; return the line of its axis."""
    write_text(image, _MARGIN, top + 4, title, _INK)
    axis = top + GLYPH_HEIGHT + 12 + _PANEL
    image[axis, _MARGIN:-_MARGIN] = _AXIS
    return axis


def _bars(
    image: Frame,
    axis: int,
    heights: Float32,
    color: tuple[int, int, int],
    *,
    hanging: bool = False,
    thin: bool = False,
) -> None:
    """Draw one bar per week, whose height is a share [W] of the panel's, on an axis."""
    edges = np.linspace(_MARGIN, _WIDTH - _MARGIN, len(heights) + 1).astype(int)
    tall = np.ceil(np.clip(heights, 0, 1) * _PANEL).astype(int)
    for left, right, height in zip(edges, edges[1:], tall, strict=False):
        if height:
            first = axis - _PANEL if hanging else axis - height
            last = left + 1 if thin else max(left + 1, right - (right - left > 3))
            image[first : first + height, left:last] = color
