"""What tests/test_qgis.py does within QGIS, run by the Python that has QGIS: prints JSON of what it found.

python3 qgis_process.py style FILE          the style that QGIS takes for a layer
python3 qgis_process.py detect JSON         run the Processing script with these parameters
python3 qgis_process.py draw SCENE FILE PNG X0 Y0 X1 Y1     a map of both, of a window in the scene's CRS
"""

import importlib.util
import json
import sys
import time
from pathlib import Path

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsSymbol,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

SCRIPT = Path(__file__).resolve().parents[1] / "integrations" / "qgis" / "sodslice_detect.py"


def layer_of(path: str) -> QgsVectorLayer:
    """The layer of a file, as a double click opens it."""
    source = f"{path}|layername=detections" if path.endswith(".gpkg") else path
    layer = QgsVectorLayer(source, "found", "ogr")
    assert layer.isValid(), path
    return layer


def style(path: str) -> dict:
    """What is told of a layer's style."""
    layer = layer_of(path)
    renderer = layer.renderer()
    categories = renderer.categories() if hasattr(renderer, "categories") else []
    settings = layer.labeling().settings() if layer.labelsEnabled() else None
    return {
        "version": Qgis.QGIS_VERSION,
        "renderer": type(renderer).__name__,
        "categories": [one.value() for one in categories],
        "layers": [one.symbol().symbolLayer(0).layerType() for one in categories],
        "colours": [one.symbol().color().name() for one in categories],
        "opacity": [
            one.symbol().dataDefinedProperties().property(QgsSymbol.PropertyOpacity).expressionString()
            for one in categories
        ],
        "label": settings.fieldName if settings else "",
        "scale": settings.minimumScale if settings else 0,
        "count": layer.featureCount(),
        "crs": layer.crs().authid(),
        "fields": [field.name() for field in layer.fields()],
    }


def detect(given: dict) -> dict:
    """Run the Processing script; `cancel_after` seconds, where it is given, it is cancelled."""
    spec = importlib.util.spec_from_file_location("sodslice_detect", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    cancel_after = given.pop("cancel_after", None)

    class Feedback(QgsProcessingFeedback):
        def __init__(self) -> None:
            super().__init__(False)
            self.began = time.monotonic()
            self.seen = []
            self.progressChanged.connect(self.seen.append)

        def isCanceled(self) -> bool:  # noqa: N802 -- QGIS's name
            return cancel_after is not None and time.monotonic() - self.began > cancel_after

    context, feedback = QgsProcessingContext(), Feedback()
    context.setProject(QgsProject.instance())
    algorithm = module.DetectSmallObjects().create({})
    began = time.monotonic()
    try:
        results, fine = algorithm.run(given, context, feedback, {}, False)
        said = {"results": results, "fine": fine}
    except QgsProcessingException as error:
        said = {"error": str(error)}
    loaded = {}
    for source, details in context.layersToLoadOnCompletion().items():
        layer = QgsVectorLayer(source, details.name, "ogr", QgsVectorLayer.LayerOptions(False))
        before = type(layer.renderer()).__name__
        details.postProcessor().postProcessLayer(layer, context, feedback)
        loaded = {"count": layer.featureCount(), "before": before, "after": type(layer.renderer()).__name__}
    return {**said, "seconds": time.monotonic() - began, "progress": feedback.seen, "loaded": loaded,
            "log": feedback.textLog()}  # fmt: skip


def draw(scene: str, path: str, picture: str, *window: str) -> dict:
    """Draw the scene with the layer above it."""
    raster, vector = QgsRasterLayer(scene, "scene"), layer_of(path)
    settings = QgsMapSettings()
    settings.setLayers([vector, raster])
    settings.setDestinationCrs(raster.crs())
    settings.setExtent(QgsRectangle(*map(float, window)))
    settings.setOutputSize(QSize(800, 800))
    settings.setBackgroundColor(QColor("white"))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(picture)
    return {"scale": settings.scale()}


def main() -> None:
    """Do what the command line says."""
    application = QgsApplication([], False)
    application.initQgis()
    what, *given = sys.argv[1:]
    ways = {"style": style, "draw": draw, "detect": lambda text: detect(json.loads(text))}
    said = ways[what](*given)
    sys.stdout.write(f"\n{json.dumps(said)}\n")
    sys.stdout.flush()
    application.exitQgis()


if __name__ == "__main__":
    main()
