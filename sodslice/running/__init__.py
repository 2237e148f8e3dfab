"""One run over one scene: plan it, execute the plan, finish what was seen.

`make_plan` resolves everything once; `execute` has hands look at the tiles of the plan, or of a part of it,
into a store; `finish` turns stores into a result. `run` does all three and writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sodslice.system.lazy import lazy_names

if TYPE_CHECKING:
    from sodslice.running.again import finish_again
    from sodslice.running.estimating import Estimate, estimate
    from sodslice.running.events import Events, ProgressEvents
    from sodslice.running.execution import execute
    from sodslice.running.finishing import finish
    from sodslice.running.hands import Hands, Here
    from sodslice.running.plan import RunPlan
    from sodslice.running.planned import Unit
    from sodslice.running.planning import make_plan
    from sodslice.running.processes import Processes
    from sodslice.running.runs import RAW_SUFFIX, check_outputs, run, run_plan

__all__ = [
    "RAW_SUFFIX",
    "Estimate",
    "Events",
    "Hands",
    "Here",
    "Processes",
    "ProgressEvents",
    "RunPlan",
    "Unit",
    "check_outputs",
    "estimate",
    "execute",
    "finish",
    "finish_again",
    "make_plan",
    "run",
    "run_plan",
]

__getattr__ = lazy_names(
    __name__,
    {
        "again": "finish_again",
        "estimating": "Estimate estimate",
        "events": "Events ProgressEvents",
        "execution": "execute",
        "finishing": "finish",
        "hands": "Hands Here",
        "plan": "RunPlan",
        "planned": "Unit",
        "planning": "make_plan",
        "processes": "Processes",
        "runs": "RAW_SUFFIX check_outputs run run_plan",
    },
)
