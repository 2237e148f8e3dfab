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
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeatureRequest,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
    QgsProcessingUtils,
)

STYLED_BESIDE = (".geojson", ".geojsonl", ".fgb")
"""Suffixes of files that have their style in a .qml; a GeoPackage has it inside."""
SOME_FAILED = 3
"""Exit code of a run that is whole but for tiles that could not be read."""
STOP_SECONDS = 5.0
"""A run that is cancelled ends in less: what it has seen is kept, and the next run goes on from there."""
LOOK_SECONDS, LAST_WORDS_SECONDS = 0.1, 1.0

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
    EXTENT, EXTRA, COMMAND, OUTPUT = "EXTENT", "EXTRA", "COMMAND", "OUTPUT"
    OBJECTS, FAILED_TILES = "OBJECTS", "FAILED_TILES"

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
            "must be installed. The result is a layer of boxes, outlined by class and the surer the more "
            "opaque; .gpkg, .geojson, .fgb and .parquet are written. A run that is cancelled goes on where "
            "it was when it is started again with the same settings and the same file."
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
        self.addParameter(
            QgsProcessingParameterExtent(self.EXTENT, "Only within this rectangle", optional=True)
        )
        extra = QgsProcessingParameterString(
            self.EXTRA, "Further flags of `sodslice run`, such as --crs EPSG:25832", "", optional=True
        )
        command = QgsProcessingParameterString(self.COMMAND, "Path of the command", "sodslice")
        for one in (extra, command):
            one.setFlags(one.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
            self.addParameter(one)
        self.addParameter(
            QgsProcessingParameterVectorDestination(
                self.OUTPUT, "Detections", QgsProcessing.TypeVectorAnyGeometry
            )
        )
        self.addOutput(QgsProcessingOutputNumber(self.OBJECTS, "Objects that were found"))
        self.addOutput(QgsProcessingOutputNumber(self.FAILED_TILES, "Tiles that could not be read"))

    def processAlgorithm(self, parameters, context, feedback):
        path = self._path(parameters, context)
        command = [
            _found(self.parameterAsString(parameters, self.COMMAND, context)),
            "run",
            self._scene(parameters, context, feedback),
            "-o",
            path,
            "--log-json",
            "--model",
            self.parameterAsString(parameters, self.MODEL, context),
        ]
        if path.lower().endswith(STYLED_BESIDE):
            command.append("--qml")
        if parameters.get(self.THRESHOLD) is not None:
            command += ["--threshold", repr(self.parameterAsDouble(parameters, self.THRESHOLD, context))]
        if parameters.get(self.TILE) is not None:
            command += ["--tile", str(self.parameterAsInt(parameters, self.TILE, context))]
        area = self._area(parameters, context)
        command += ["--aoi", _area_file(area, f"{path}.area.geojson")] if area else []
        command += _words(self.parameterAsString(parameters, self.EXTRA, context))
        feedback.pushCommandInfo(shlex.join(command))
        told = run_command(command, feedback)
        if feedback.isCanceled():
            feedback.pushInfo(_kept(path))
            self._have_not_loaded(path, context)
            return {}
        self._have_styled(path, context)
        return {
            self.OUTPUT: path,
            self.OBJECTS: told.get("objects"),
            self.FAILED_TILES: told.get("failed"),
        }

    def _path(self, parameters, context):
        """The file to write."""
        path = self.parameterAsOutputLayer(parameters, self.OUTPUT, context)
        if path.startswith(("ogr:", "postgis:", "memory:")):
            raise QgsProcessingException(f"{path} is no file; save the detections to one, such as cars.gpkg")
        return path

    def _scene(self, parameters, context, feedback):
        layer = self.parameterAsRasterLayer(parameters, self.INPUT, context)
        if layer is None:
            raise QgsProcessingException("There is no scene: choose a raster layer")
        if layer.providerType() != "gdal":
            raise QgsProcessingException(
                f"{layer.name()} comes from {layer.providerType()}, not from a file; save it as GeoTIFF first"
            )
        path, _, options = layer.source().partition("|option:")
        if options:
            feedback.pushWarning(f"The layer's options for opening are not heeded: {options}")
        return path

    def _area(self, parameters, context):
        """What is to be looked at, in longitude and latitude; nothing for all of the scene."""
        lonlat = QgsCoordinateReferenceSystem("EPSG:4326")
        source = self.parameterAsSource(parameters, self.AREA, context)
        shapes = []
        if parameters.get(self.EXTENT):
            shapes = [self.parameterAsExtentGeometry(parameters, self.EXTENT, context, lonlat)]
        if source is None:
            return shapes
        if shapes:
            raise QgsProcessingException("Choose polygons or a rectangle to look within, not both")
        request = QgsFeatureRequest().setDestinationCrs(lonlat, context.transformContext())
        shapes = [one.geometry() for one in source.getFeatures(request) if one.hasGeometry()]
        if not shapes:
            raise QgsProcessingException(
                f"{source.sourceName()} has no polygons to look within; if only selected ones are taken, "
                "select some"
            )
        return shapes

    def _have_styled(self, path, context):
        """Where QGIS is to load the layer, have it shown with its own style."""
        if context.willLoadLayerOnCompletion(path):
            context.layerToLoadOnCompletionDetails(path).setPostProcessor(STYLED)

    def _have_not_loaded(self, path, context):
        """Do not let QGIS look for a file that is not there."""
        layers = context.layersToLoadOnCompletion()
        context.setLayersToLoadOnCompletion({one: layers[one] for one in layers if one != path})


class _Styled(QgsProcessingLayerPostProcessorInterface):
    """Processing loads layers without their own style."""

    def postProcessLayer(self, layer, context, feedback):  # noqa: ARG002
        layer.loadDefaultStyle()
        layer.triggerRepaint()


STYLED = _Styled()
"""One for all runs: QGIS does not keep it alive."""


def _area_file(shapes, path):
    """Write geometries in longitude and latitude to a GeoJSON file.

    It has the same name in the next run, which would else be another one, and the result names it.
    """
    features = [
        {"type": "Feature", "properties": {}, "geometry": json.loads(shape.asJson(9))} for shape in shapes
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise QgsProcessingException(f"The area cannot be written to {path}: {error.strerror}") from None
    return path


def _kept(path):
    """What comes of a run that was cancelled."""
    if Path(QgsProcessingUtils.tempFolder()) in Path(path).parents:
        return "Cancelled. Write to a file of your own, and a run that is cancelled goes on where it was."
    return f"Cancelled. What was seen is kept beside {path}; the same run goes on from there."


def _words(text):
    """Flags as they are typed in a shell."""
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    if os.name == "nt":
        lexer.escape = ""
    try:
        return list(lexer)
    except ValueError as error:
        raise QgsProcessingException(f"The further flags {text!r} cannot be read: {error}") from None


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
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    feedback.setProgressText("Opening the scene and the model")
    try:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, env=own, **silent, **group)
    except OSError as error:
        raise QgsProcessingException(f"{command[0]} cannot be started: {error.strerror}") from None
    told = {}
    try:
        for line in _lines(process):
            if feedback.isCanceled():
                return told
            if line is not None:
                _tell(line.decode("utf-8", "replace").strip(), feedback, told)
        code = process.wait()
    finally:
        _end(process)
    if code == SOME_FAILED:
        feedback.pushWarning(f"{told.get('failed', 'Some')} tiles could not be read; the rest is whole")
    elif code:
        raise QgsProcessingException(told.get("error") or _ending(code, told.get("text", "")))
    return told


def _lines(process):
    """What a process says on stderr, line by line as long as it lives; None now and then meanwhile."""
    lines = SimpleQueue()

    def read():
        with process.stderr as said:
            for line in said:
                lines.put(line)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    while process.poll() is None:
        try:
            yield lines.get(timeout=LOOK_SECONDS)
        except Empty:
            yield None
    reader.join(LAST_WORDS_SECONDS)
    while not lines.empty():
        yield lines.get()


def _ending(code, last):
    """How a command ended that named no error: killed, say, or broken."""
    how = f"by the signal {-code}" if code < 0 else f"with the exit code {code}"
    return f"sodslice ended {how}; its last words: {last}" if last else f"sodslice ended {how} without a word"


def _tell(line, feedback, told):
    """What a line of the command says: how far it is, a note, an error, or how it ended."""
    event = _event(line)
    kind, text = event.get("event"), event.get("text", "")
    if kind == "progress":
        done, tiles = event.get("tiles_done", 0), event.get("tiles", 0)
        feedback.setProgress(100.0 * done / max(tiles, 1))
        feedback.setProgressText(f"{done} of {tiles} tiles")
    elif kind == "done":
        told.update(event)
        classes = ", ".join(f"{name} {count}" for name, count in event.get("classes", {}).items())
        feedback.pushInfo(
            f"{event['objects']} objects{f' ({classes})' if classes else ''} in {event['seconds']} s"
        )
    elif kind == "error":
        told["error"] = text
    elif text:
        told["text"] = text
        feedback.pushInfo(text)


def _event(line):
    """A line as the event that it is; a text where it is none, as by a library or before the work."""
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if isinstance(event, dict):
        return event
    usage = "Error: "
    return {"event": "error", "text": line[len(usage) :]} if line.startswith(usage) else {"text": line}


def _end(process):
    """End a command that still runs: as by Ctrl-C, so that it keeps what it has seen, then by force.

    Where there are groups of processes, nothing that it has started is left.
    """
    if process.poll() is not None:
        return
    if os.name == "nt":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if os.name != "nt":
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
