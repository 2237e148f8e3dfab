"""Detect small objects: a script for QGIS's Processing toolbox that runs the installed command `sodslice`.

Put this file into the folder of Processing scripts, or open it by "Add Script to Toolbox" (QGIS 3.22 and
later). It needs nothing within QGIS: the command has an environment of its own.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from queue import Empty, SimpleQueue

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingUtils,
    QgsVectorFileWriter,
)

LAYER = "detections"
SOME_FAILED = 3
"""Exit code of a run that is whole but for tiles that could not be read."""
STOP_SECONDS = 5.0
"""A run that is cancelled ends in less: what it has seen is kept, and the next run goes on from there."""
LOOK_SECONDS = 0.1

OF_QGIS = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "GDAL_DATA",
    "GDAL_DRIVER_PATH",
    "PROJ_LIB",
    "PROJ_DATA",
    "QT_PLUGIN_PATH",
    "QGIS_PREFIX_PATH",
)
"""Variables that QGIS sets for itself, and that would make other programs load its libraries."""


class DetectSmallObjects(QgsProcessingAlgorithm):
    """Vehicles, or what else a model knows, as boxes on the map."""

    INPUT, MODEL, THRESHOLD, TILE, AREA = "INPUT", "MODEL", "THRESHOLD", "TILE", "AREA"
    EXTRA, COMMAND, OUTPUT = "EXTRA", "COMMAND", "OUTPUT"

    def createInstance(self):
        return DetectSmallObjects()

    def name(self):
        return "detectsmallobjects"

    def displayName(self):
        return "Detect small objects (sodslice)"

    def group(self):
        return "sodslice"

    def groupId(self):
        return "sodslice"

    def shortHelpString(self):
        return (
            "Finds small objects in a raster of any size, tile by tile, by the command `sodslice`, which "
            "must be installed. The result is a GeoPackage with a layer of boxes, outlined by class and the "
            "surer the more opaque. A run that is cancelled goes on where it was when it is started again "
            "with the same settings."
        )

    def initAlgorithm(self, config=None):  # noqa: ARG002
        self.addParameter(QgsProcessingParameterRasterLayer(self.INPUT, "Scene"))
        self.addParameter(
            QgsProcessingParameterString(self.MODEL, "Model: a name, a folder or a file", "vehicle-t")
        )
        self.addParameter(
            QgsProcessingParameterNumber(
                self.THRESHOLD,
                "Lowest score (empty: the model's own)",
                QgsProcessingParameterNumber.Double,
                None,
                optional=True,
                minValue=0.0,
                maxValue=1.0,
            )
        )
        self.addParameter(
            QgsProcessingParameterNumber(
                self.TILE,
                "Side of a tile in pixels (empty: fitted to the scene)",
                QgsProcessingParameterNumber.Integer,
                None,
                optional=True,
                minValue=32,
            )
        )
        self.addParameter(
            QgsProcessingParameterFeatureSource(
                self.AREA, "Only within these polygons", [QgsProcessing.TypeVectorPolygon], optional=True
            )
        )
        extra = QgsProcessingParameterString(
            self.EXTRA, "Further flags of `sodslice run`, such as --crs EPSG:25832", "", optional=True
        )
        command = QgsProcessingParameterString(self.COMMAND, "Path of the command", "sodslice")
        for one in (extra, command):
            one.setFlags(one.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
            self.addParameter(one)
        self.addParameter(
            QgsProcessingParameterFileDestination(self.OUTPUT, "Detections", "GeoPackage (*.gpkg)")
        )

    def processAlgorithm(self, parameters, context, feedback):
        scene = self._scene(parameters, context)
        path = self.parameterAsFileOutput(parameters, self.OUTPUT, context)
        if not path.lower().endswith(".gpkg"):
            path += ".gpkg"
        command = [
            _found(self.parameterAsString(parameters, self.COMMAND, context)),
            "run",
            scene,
            "-o",
            path,
        ]
        command += ["--model", self.parameterAsString(parameters, self.MODEL, context), "--log-json"]
        if parameters.get(self.THRESHOLD) is not None:
            command += ["--threshold", repr(self.parameterAsDouble(parameters, self.THRESHOLD, context))]
        if parameters.get(self.TILE) is not None:
            command += ["--tile", str(self.parameterAsInt(parameters, self.TILE, context))]
        area = self._area(parameters, context)
        command += ["--aoi", area] if area else []
        command += shlex.split(self.parameterAsString(parameters, self.EXTRA, context))
        feedback.pushCommandInfo(shlex.join(command))
        told = run_command(command, feedback)
        if feedback.isCanceled():
            feedback.pushInfo("Cancelled. What was seen is kept; the same run goes on from there.")
            return {}
        self._load(path, context)
        return {self.OUTPUT: path, "OBJECTS": told.get("objects"), "FAILED_TILES": told.get("failed")}

    def _scene(self, parameters, context):
        layer = self.parameterAsRasterLayer(parameters, self.INPUT, context)
        if layer is None:
            raise QgsProcessingException("There is no scene: choose a raster layer")
        if layer.providerType() != "gdal":
            raise QgsProcessingException(
                f"{layer.name()} comes from {layer.providerType()}, not from a file; save it as GeoTIFF first"
            )
        return layer.source()

    def _area(self, parameters, context):
        """A GeoJSON file of the chosen polygons in longitude and latitude; "" without any."""
        source = self.parameterAsSource(parameters, self.AREA, context)
        if source is None:
            return ""
        path = QgsProcessingUtils.generateTempFilename("area.geojson")
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName = "GeoJSON"
        lonlat = QgsCoordinateReferenceSystem("EPSG:4326")
        writer = QgsVectorFileWriter.create(
            path, source.fields(), source.wkbType(), lonlat, context.transformContext(), options
        )
        request = _request_in(lonlat, context)
        for feature in source.getFeatures(request):
            writer.addFeature(feature)
        del writer
        return path

    def _load(self, path, context):
        """Have QGIS show the layer, with the style that it holds."""
        details = QgsProcessingContext.LayerDetails("Detections", context.project(), self.OUTPUT)
        _Styled.instance = _Styled()
        details.setPostProcessor(_Styled.instance)
        context.addLayerToLoadOnCompletion(f"{path}|layername={LAYER}", details)


class _Styled(QgsProcessingLayerPostProcessorInterface):
    """Processing loads layers without their own style."""

    instance = None

    def postProcessLayer(self, layer, context, feedback):  # noqa: ARG002
        layer.loadDefaultStyle()
        layer.triggerRepaint()


def _request_in(crs, context):
    from qgis.core import QgsFeatureRequest

    return QgsFeatureRequest().setDestinationCrs(crs, context.transformContext())


def _found(command):
    """The path of the command."""
    found = shutil.which(str(Path(command.strip()).expanduser()))
    if found is None:
        raise QgsProcessingException(
            f"There is no command {command!r}. Install sodslice in an environment of its own, and give the "
            'path of its command, such as /home/me/sodslice/.venv/bin/sodslice, as "Path of the command"'
        )
    return found


def run_command(command, feedback):
    """Run `sodslice`, tell how far it is, and end it if that is wanted.

    Returns what it said last of the scene.
    """
    own = {name: value for name, value in os.environ.items() if name not in OF_QGIS}
    group = (
        {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        if os.name == "nt"
        else {"start_new_session": True}
    )
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=own, **group
    )
    lines = SimpleQueue()
    reader = threading.Thread(target=lambda: [lines.put(line) for line in process.stderr], daemon=True)
    reader.start()
    told, errors = {}, []
    try:
        while reader.is_alive() or not lines.empty():
            if feedback.isCanceled():
                return told
            try:
                line = lines.get(timeout=LOOK_SECONDS)
            except Empty:
                continue
            _tell(line.decode("utf-8", "replace").strip(), feedback, told, errors)
        code = process.wait()
    finally:
        _end(process)
        process.stderr.close()
    if code == SOME_FAILED:
        feedback.pushWarning(f"{told.get('failed', 'Some')} tiles could not be read; the rest is whole")
    elif code:
        raise QgsProcessingException(errors[-1] if errors else f"sodslice ended with the exit code {code}")
    return told


def _tell(line, feedback, told, errors):
    """What a line of the command says: how far it is, a note, an error, or how it ended."""
    try:
        event = json.loads(line)
    except ValueError:
        event = {
            "event": "error" if line.startswith("Error: ") else "text",
            "text": line.replace("Error: ", "", 1),
        }
    kind = event.get("event")
    if kind == "progress":
        feedback.setProgress(100.0 * event.get("tiles_done", 0) / max(event.get("tiles", 1), 1))
    elif kind == "done":
        told.update(event)
        feedback.pushInfo(f"{event['objects']} objects in {event['seconds']} s")
    elif kind == "error":
        errors.append(event["text"])
    elif event.get("text"):
        feedback.pushInfo(event["text"])


def _end(process):
    """End a command that still runs: as by Ctrl-C, so that it keeps what it has seen, then by force."""
    if process.poll() is not None:
        return
    if os.name == "nt":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
