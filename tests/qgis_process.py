"""What tests/test_qgis.py does within QGIS, run by the Python that has QGIS: prints JSON of what it found.

python3 qgis_process.py style FILE          the style that QGIS takes for a layer
python3 qgis_process.py detect JSON         run the Processing script with these parameters
python3 qgis_process.py toolbox JSON        the same from the toolbox, which loads the layer into the project
python3 qgis_process.py draw SCENE FILE PNG X0 Y0 X1 Y1     a map of both, of a window in the scene's CRS
"""

import importlib.util
import json
import os
import shutil
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
    QgsProcessingOutputLayerDefinition,
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
    """Run the Processing script.

    Where it is given, it is cancelled `cancel_after` seconds from the start, or `cancel_at` a share of its
    progress; the process of QGIS has the variables of `environment`.
    """
    spec = importlib.util.spec_from_file_location("sodslice_detect", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    cancel_after, cancel_at = given.pop("cancel_after", float("inf")), given.pop("cancel_at", float("inf"))
    os.environ.update(given.pop("environment", {}))

    class Feedback(QgsProcessingFeedback):
        def __init__(self) -> None:
            super().__init__(False)
            self.began = time.monotonic()
            self.seen = []
            self.cancelled = None
            self.progressChanged.connect(self.seen.append)

        def isCanceled(self) -> bool:  # noqa: N802 -- QGIS's name
            wanted = time.monotonic() - self.began > cancel_after or max(self.seen, default=-1) >= cancel_at
            self.cancelled = self.cancelled or (time.monotonic() if wanted else None)
            return wanted

    context, feedback = QgsProcessingContext(), Feedback()
    context.setProject(QgsProject.instance())
    algorithm = module.DetectSmallObjects().create({})
    given["OUTPUT"] = QgsProcessingOutputLayerDefinition(given["OUTPUT"], context.project())
    try:
        results, fine = algorithm.run(given, context, feedback, {}, False)
        said = {"results": results, "fine": fine}
    except QgsProcessingException as error:
        said = {"error": str(error)}
    ended, loaded = time.monotonic(), {}
    for source, details in context.layersToLoadOnCompletion().items() if said.get("fine") else ():
        layer = QgsVectorLayer(source, details.name, "ogr", QgsVectorLayer.LayerOptions(False))
        before = type(layer.renderer()).__name__
        details.postProcessor().postProcessLayer(layer, context, feedback)
        loaded = {"count": layer.featureCount(), "before": before, "after": type(layer.renderer()).__name__}
    stopping = None if feedback.cancelled is None else ended - feedback.cancelled
    return {**said, "stopping": stopping, "progress": feedback.seen, "loaded": loaded,
            "log": feedback.textLog()}  # fmt: skip


def toolbox(given: dict) -> dict:
    """Run the algorithm as the toolbox does, from the folder of scripts of the profile."""
    sys.path.append(str(Path(QgsApplication.pkgDataPath()) / "python" / "plugins"))
    from processing import runAndLoadResults
    from processing.core.Processing import Processing
    from processing.script.ScriptUtils import defaultScriptsFolder

    shutil.copy(SCRIPT, defaultScriptsFolder())
    Processing.initialize()
    results = runAndLoadResults("script:detectsmallobjects", given)
    layers = QgsProject.instance().mapLayers().values()
    return {
        "results": results,
        "layers": [(one.name(), type(one.renderer()).__name__, one.featureCount()) for one in layers],
    }


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
    ways = {
        "style": style,
        "draw": draw,
        "detect": lambda text: detect(json.loads(text)),
        "toolbox": lambda text: toolbox(json.loads(text)),
    }
    said = ways[what](*given)
    sys.stdout.write(f"\n{json.dumps(said)}\n")
    sys.stdout.flush()
    application.exitQgis()


if __name__ == "__main__":
    main()
