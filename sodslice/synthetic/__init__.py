"""Town-like orthophotos of any size, drawn with exact truth: for the demo, tests and benchmarks.

    spec = SceneSpec(width=2048, height=2048, gsd_m=0.12, seed=3)
    pixels = render(spec, window=(0, 0, 512, 512))
    found = truth(spec)
    draw_scene("town.tif", spec, coco="town.truth.json")

Equal specs give equal pixels, drawn whole, in parts, or in another order.
"""

from sodslice.synthetic.render import render
from sodslice.synthetic.spec import SceneSpec
from sodslice.synthetic.truth import DrawnTruth, truth
from sodslice.synthetic.vehicles import KINDS
from sodslice.synthetic.write import draw_scene

__all__ = ["KINDS", "DrawnTruth", "SceneSpec", "draw_scene", "render", "truth"]
