"""What of a run worker processes can have: files and names, not the objects of one process."""

from __future__ import annotations

from sodslice.errors import ModelError, SceneError
from sodslice.running.plan import RunPlan
from sodslice.scene import RasterScene, SceneBase


def check_travels(plan: RunPlan) -> None:
    """Refuse a plan of what only this process has.

    Raises:
        SceneError: the scene is no file.
        ModelError: the model is an object.
    """
    if not plan.scene.location:
        raise SceneError(
            f"the scene {plan.scene.name} is in the memory of this process, where workers cannot read it; "
            "give a file, or take `workers=1`"
        )
    if not plan.model.loadable:
        raise ModelError(
            f"the model {plan.model.info.name} is an object of this process, which workers do not have; "
            "give a name or files, or take `workers=1`"
        )


def check_reopens(scene: SceneBase, plan: RunPlan) -> None:
    """Refuse an open scene that workers, who open its file by themselves, would see with other eyes.

    Raises:
        SceneError: it is of a class of somebody else's, or was opened with other settings than the run's.
    """
    if not plan.scene.location:
        return
    if not isinstance(scene, RasterScene) or type(scene) is not RasterScene:
        raise SceneError(
            f"the scene {scene.name} is read by an object of this process, which workers do not have; "
            "give the file itself, or take `workers=1`"
        )
    if scene.rendering != plan.scene.rendering:
        raise SceneError(
            f"the scene {scene.name} was opened with other settings than those of the run, by which workers "
            "open it again; give them as options of the run"
        )
