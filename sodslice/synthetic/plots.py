"""What fills a block between four streets: houses, flats, shops, works, parks, a market, fields or woods."""

from __future__ import annotations

from collections.abc import Callable

from sodslice.synthetic.dice import Dice
from sodslice.synthetic.greens import field, park, wood
from sodslice.synthetic.homes import flats, houses
from sodslice.synthetic.sketch import PlotFrame, Sketch
from sodslice.synthetic.spec import Sun
from sodslice.synthetic.trades import market, shop, works

Filler = Callable[[Sketch, PlotFrame, Sun, Dice], None]

SMALLEST_BUILT_M = 26.0

USES: tuple[tuple[Filler, float], ...] = (
    (houses, 0.30),
    (flats, 0.17),
    (shop, 0.17),
    (works, 0.10),
    (park, 0.11),
    (market, 0.06),
    (field, 0.05),
    (wood, 0.04),
)


def fill_plot(sketch: Sketch, frame: PlotFrame, sun: Sun, dice: Dice) -> None:
    """Draw one use, chosen by the dice, on the rectangle between four streets."""
    if min(frame.width, frame.height) < SMALLEST_BUILT_M:
        park(sketch, frame, sun, dice)
        return
    filler = dice.pick([use for use, _ in USES], [weight for _, weight in USES])
    filler(sketch, frame, sun, dice)
