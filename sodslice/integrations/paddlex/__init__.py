"""PaddleX's small object detection pipeline, on sodslice.

    from sodslice.integrations.paddlex import create_pipeline

    pipeline = create_pipeline(pipeline="small_object_detection")
    for result in pipeline.predict("photo.jpg"):
        result.save_all("output")

Names, arguments, results and files are PaddleX's; docs/paddlex.md says what is different.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sodslice.system.lazy import lazy_names

if TYPE_CHECKING:
    from sodslice.integrations.paddlex.pipeline import SmallObjectDetectionPipeline, create_pipeline
    from sodslice.integrations.paddlex.result import DetResult

__all__ = ["DetResult", "SmallObjectDetectionPipeline", "create_pipeline"]

__getattr__ = lazy_names(
    __name__, {"pipeline": "SmallObjectDetectionPipeline create_pipeline", "result": "DetResult"}
)
