"""`open_folder`, `open_onnx_file`: exported models on the engine of their spec, as detectors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sodslice.errors import OptionError
from sodslice.inference import ExportedDetector, ModelFolder, ModelSpec
from sodslice.inference.dialect import feeds_for
from sodslice.inference.engines import Device, Engine, Request, Session, parse_device
from sodslice.inference.engines.choosing import split_word
from sodslice.inference.exported import Taking
from sodslice.inference.foreign.file import OnnxFile
from sodslice.inference.lifting import open_lifted
from sodslice.inference.limits import USUAL, Limits
from sodslice.models.translation import hold_against, translation_of, trusted
from sodslice.system.chip import cores, describe

PROBE_SIDE = 128
"""Side of the black tile of a trial run, for models that take any."""

FITTING_SIDE = 1024
"""Side of the tiles with which the batch is fitted to a device, for models that take any."""


@dataclass(frozen=True)
class Opening:
    """How the graph of a folder is opened, by a spec."""

    files: ModelFolder
    spec: ModelSpec
    engine: Engine
    device: Device
    pixels: bool

    @property
    def translated(self) -> bool:
        """Whether the engine needs the graph in ONNX."""
        return self.files.graph.suffix not in self.engine.graphs

    @property
    def streams(self) -> int:
        """Tiles that go through the graph at once."""
        return _streams(self.spec, self.engine)

    def request(self, graph: Path, *, batch: int, probed: bool = True) -> Request:
        """What is asked of the engine.

        Args:
            graph: the folder's, or what was made of it.
            batch: tiles per call.
            probed: whether a trial run is due.
        """
        height, width = self.files.info.input_size or (PROBE_SIDE, PROBE_SIDE)
        tiles = np.zeros((batch, height, width, 3), np.uint8)
        probe, _ = feeds_for(self.files.preprocess, tiles, pixels=self.pixels)
        return Request(
            graph,
            None if self.translated else self.files.parameters,
            self.device,
            _threads(self.spec),
            probe if probed else None,
            self.spec.precision,
            split_word(self.spec.engine)[1],
            self.pixels,
            self.streams,
        )

    def native(self) -> tuple[Session, Limits]:
        """A session of the graph as it is, whose NMS lets through all that it can."""
        batch = self.spec.batch or 1

        def load(graph: Path) -> Session:
            return self.engine.load(self.request(graph, batch=batch))

        session, limits = open_lifted(self.files.graph, load, self.spec.info)
        rule = self.files.suppression
        return session, limits if rule is None else replace(limits, suppression=rule, usual=USUAL)

    def by_translation(self) -> tuple[Session, Limits]:
        """A session of the graph in ONNX, held against Paddle once; in fp32, since others differ by design.

        Raises:
            ModelError: it gives other answers than Paddle.
        """
        made = translation_of(self.files)
        request = self.request(made.graph, batch=1, probed=False)
        if self.spec.precision != "fp32":
            session = self.engine.load(request)
        else:
            words = (self.engine.name, self.engine.version(), self.device.kind, self.spec.engine, describe())
            with trusted(made, " ".join(map(str, words))) as known:
                session = self.engine.load(request)
                if not known:
                    hold_against(made, session, self.files, pixels=self.pixels)
        return session, Limits(usual=USUAL, suppression=made.suppression)


def open_folder(files: ModelFolder, spec: ModelSpec) -> ExportedDetector:
    """The detector of a folder.

    Args:
        files: of the folder.
        spec: what runs it; a batch of 0 is fitted to the device.

    Raises:
        ModelError: the files cannot be run, or the engine gives other answers than Paddle.
        DeviceError: the device is not there.
        OptionError: more threads are asked for than there are cores.
    """
    engine, _ = split_word(spec.engine)
    device = engine.pick(parse_device(spec.device))  # before OpenCV's threads, which could take its signals
    opening = Opening(files, spec, engine, device, engine.takes_pixels and files.preprocess.keeps_levels)
    session, limits = opening.by_translation() if opening.translated else opening.native()
    taking = Taking(opening.pixels, opening.streams)
    detector = ExportedDetector(
        session, files.preprocess, spec.info, batch=spec.batch or 1, limits=limits, taking=taking
    )
    if not spec.batch:
        detector.fit_batch(files.info.input_size or (FITTING_SIDE, FITTING_SIDE))
    return detector


def open_onnx_file(file: OnnxFile, spec: ModelSpec) -> ExportedDetector:
    """The detector of an ONNX file of another maker, once it has answered for a black tile.

    Args:
        file: what was recognised.
        spec: what runs it; a batch of 0 is fitted to the device.

    Raises:
        ModelError: the file cannot be run, or its answers are not those of its layout.
        DeviceError: the device is not there.
        OptionError: more threads are asked for than there are cores.
    """
    engine, backend = split_word(spec.engine)
    device = engine.pick(parse_device(spec.device))
    threads, streams, batch = _threads(spec), _streams(spec, engine), spec.batch or 1
    height, width = file.info.input_size or (PROBE_SIDE, PROBE_SIDE)
    feeds, place = file.feeds(np.zeros((batch, height, width, 3), np.uint8))
    session = engine.load(
        Request(file.graph, None, device, threads, feeds, spec.precision, backend, streams=streams)
    )
    outputs = session.run({name: feeds[name] for name in session.input_names})
    file.tables(outputs, place, spec.info)
    info = replace(spec.info, max_per_tile=file.most(outputs))
    own_nms = file.suppression is not None
    limits = Limits(info.max_per_tile, usual=USUAL if own_nms else None, suppression=file.suppression)
    detector = ExportedDetector(
        session, file, info, batch=batch, limits=limits, taking=Taking(at_once=streams)
    )
    if not spec.batch:
        detector.fit_batch(file.info.input_size or (FITTING_SIDE, FITTING_SIDE))
    return detector


def _streams(spec: ModelSpec, engine: Engine) -> int:
    """Tiles that go through the graph at once."""
    return min(spec.streams, _threads(spec)) if engine.has_streams else 1


def _threads(spec: ModelSpec) -> int:
    """CPU threads to use.

    Raises:
        OptionError: more are asked for than there are cores, which only makes the model slower.
    """
    if spec.threads is not None and spec.threads > cores():
        raise OptionError(
            f"`threads` must be at most {cores()}, the cores that this process may use, got {spec.threads}"
        )
    return spec.threads or cores()
