"""What an NVIDIA GPU makes of the models: agreement with the CPU, speed by batch, a large scene end to end.

    python benchmarks/gpu.py --export models            beforehand, where Paddle is: T, S (and L with --large)
    python benchmarks/gpu.py --models models.tar.xz     where the GPU is; needs nothing from the network

`--export` writes a folder and, beside it, an archive of it. T is the model that ships; S and L have random
weights, of which a few bits are kept, so that the archive is small: their speed is real, what they find is
not. Engines are those that are installed: ONNX Runtime's CUDA and TensorRT providers, Paddle for GPUs and its
TensorRT. Without a GPU the same is done on the CPU with small sizes, to see that it works; such figures mean
nothing. Each measurement is a process of its own. What does not fit into `--seconds` is left out, and the
table says so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sodslice.errors import SodsliceError
from sodslice.inference import ExportedDetector
from sodslice.inference.engines import ENGINES
from sodslice.models import MODELS, load_model, model_info
from sodslice.report.speed.agreement import SURE, Found, agreement_of
from sodslice.report.speed.tasks import found_in, median_ms
from sodslice.report.speed.town import LAID_OUT
from sodslice.synthetic import SceneSpec, render
from sodslice.system import chip
from sodslice.system.memory import peak_mb

NAMES = {"S": "PP-YOLOE_plus_SOD-S", "L": "PP-YOLOE_plus_SOD-L"}
BATCHES = (1, 2, 4, 8, 16, 32, 64)
TOLERANCE_PX, TOLERANCE_SCORE = 0.05, 1e-3
RESERVED_S = 110
"""For the scene, of all the time there is."""
LEAST_S, MOST_S = 20, 90
"""For a model on an engine: with less none is loaded on a GPU, and TensorRT would take all that there is."""
BOXES = 300
"""So many of a tile's anchors score `SURE` in networks with random weights."""
FEW_BITS = np.uint32(0xFFF80000)
"""Sign, exponent and four bits of the fraction of a float32."""


@dataclass(frozen=True)
class Machine:
    """What there is, and how much of everything is measured on it.

    Args:
        gpu: name, driver and memory of the card; "" where there is none.
        batches: tiles per call.
        side: of the tiles of models that take any, in pixels.
        scene_side: of the large scene, in pixels.
        seconds: the most that the calls of one batch are timed.
    """

    gpu: str
    batches: tuple[int, ...]
    side: int
    scene_side: int
    seconds: float

    @property
    def device(self) -> str:
        """The word for it."""
        return "gpu" if self.gpu else "cpu"


def main() -> None:
    """Parse; export, or measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--export", type=Path, help="folder to write the models to, and an archive beside it")
    parser.add_argument("--large", action="store_true", help="export L too: 340 MB, twice")
    parser.add_argument("--models", type=Path, help="what --export wrote, folder or archive; else T alone")
    parser.add_argument("--seconds", type=float, default=460, help="all that it may take")
    parser.add_argument("--side", type=int, help="of the large scene; 20000 with a GPU, 2048 without")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        task = json.loads(given.one)
        ONES[task.pop("what")](**task)
    elif given.export:
        export(given.export, ["S", "L"] if given.large else ["S"])
    else:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            os.environ["SODSLICE_CACHE"] = str(Path(folder) / "cache")
            found = measure(given, Path(folder))
        if given.json:
            given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


# Exporting


def export(folder: Path, names: list[str]) -> None:
    """Write T and random networks as folders, translated, and an archive of them."""
    from sodslice.inference import read_folder
    from sodslice.models.translation import write_translation

    shutil.copytree(
        MODELS["vehicle-t"].folder,
        folder / "T",
        ignore=shutil.ignore_patterns("checkpoint*"),
        dirs_exist_ok=True,
    )
    for name in names:
        print(f"exporting {name} ...", flush=True)
        _export_random(name, folder / name)
        _keep_few_bits(folder / name)
        write_translation(read_folder(folder / name), folder / name / "translation")
    archive = folder.with_name(f"{folder.name}.tar.xz")
    with tarfile.open(archive, "w:xz", preset=1) as packed:
        packed.add(folder, arcname=".")
    print(f"{folder} and {archive}, {archive.stat().st_size / 2**20:.0f} MB")


def _export_random(name: str, folder: Path) -> None:
    """A network that finds something, though nothing that means anything."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from sodslice.ppyoloe.config import network_config
    from sodslice.ppyoloe.description import ExportSettings
    from sodslice.ppyoloe.export import export_folder
    from tests.ppyoloe_weights import lively

    settings = ExportSettings((640, 640), upsample="official")
    network = lively(network_config(NAMES[name]))
    _find_little(network)
    export_folder(network, folder, settings, overwrite=True)


def _find_little(network: Any) -> None:
    """Lower all scores until a tile has as many boxes as a busy one: NMS is a part of the work."""
    import paddle

    with paddle.no_grad():
        tile = paddle.to_tensor(_tiles(640, 1).transpose(0, 3, 1, 2) / np.float32(255))
        logits = np.sort(network(tile).logits.numpy().ravel())
    shift = float(np.log(SURE / (1 - SURE)) - logits[-BOXES])
    for name, tensor in network.state_dict().items():
        if ".pred_cls." in name and name.endswith("bias"):
            tensor.set_value(tensor + shift)


def _keep_few_bits(folder: Path) -> None:
    """Cut the fractions of large weights, in place: an archive then holds a quarter of their bits."""
    from sodslice.inference.graphs.parameters import read_parameters
    from sodslice.inference.graphs.pir import read_program

    file, program = folder / "inference.pdiparams", read_program(folder / "inference.json")
    shapes = {program.names[key]: value.shape for key, value in program.parameters.items()}
    content, position = bytearray(file.read_bytes()), 0
    for _, array in sorted(read_parameters(file, shapes).items()):
        position = content.index(array.tobytes(), position)
        if array.dtype == np.float32 and array.ndim > 1:
            content[position : position + array.nbytes] = (array.view(np.uint32) & FEW_BITS).tobytes()
        position += array.nbytes
    file.write_bytes(content)


# Measuring


def measure(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Everything, as far as there is time; printed as it comes."""
    ends = time.monotonic() + given.seconds
    machine = _machine(given.side)
    models = _models(given.models, folder)
    print(f"GPU: {machine.gpu or 'none is used: all of this is on the CPU, in small, and means nothing'}")
    print(chip.describe())
    print(", ".join(f"{e.name} {e.version()}" for e in ENGINES if e.version()))
    document: dict[str, Any] = {"gpu": machine.gpu, "chip": chip.describe(), "sweeps": [], "scenes": []}
    show(("model", "engine", "precision", "batch", "ms/tile", "tiles/s", "px", "score", "boxes", ""))
    for name, model in models.items():
        reference, side = folder / f"{name}.npz", _side(model, machine)
        told = _ask(
            {"what": "reference", "model": model, "side": side, "to": str(reference)}, ends - time.monotonic()
        )
        if "reason" in told[-1]:
            show((name, "CPU", "fp32", "", f"cannot: {told[-1]['reason']}"))
    for engine, precision in _ways(machine):
        for name, model in models.items():
            task = {
                "what": "sweep", "model": model, "engine": engine, "precision": precision,
                "device": machine.device, "side": _side(model, machine),
                "batches": machine.batches[:: 3 if "tensorrt" in engine else 1],
                "seconds": machine.seconds, "reference": str(folder / f"{name}.npz"),
            }  # fmt: skip
            lines = _ask(task, min(MOST_S, ends - time.monotonic() - RESERVED_S))
            document["sweeps"].append(
                {"model": name, "engine": engine, "precision": precision, "lines": lines}
            )
            _show_sweep(name, engine, precision, lines)
    scene = _large_scene(folder / "scene.tif", machine.scene_side)
    for name in [name for name in ("T", "S") if name in models]:
        task = {"what": "scene", "model": models[name], "scene": str(scene), "device": machine.device}
        told = _ask(task, ends - time.monotonic())[-1]
        document["scenes"].append({"model": name, "side": machine.scene_side, **told})
        _show_scene(name, machine.scene_side, told)
    return document


def _machine(scene_side: int | None) -> Machine:
    gpu, engines = _card(), _drivers_of_gpus()
    if gpu and not engines:
        print(f"there is a {gpu}, and no engine for it: install onnxruntime-gpu in place of onnxruntime")
    if gpu and engines:
        return Machine(gpu, BATCHES, 1024, scene_side or 20_000, 2.0)
    return Machine("", (1, 2), 320, scene_side or 2048, 0.5)


def _card() -> str:
    """The first card, as its driver names it."""
    words = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
    return said.splitlines()[0] if said else ""


def _drivers_of_gpus() -> list[str]:
    """Engines of which a build for GPUs is installed."""
    from importlib.metadata import distributions

    builds = {"onnxruntime-gpu": "onnxruntime", "paddlepaddle-gpu": "paddle"}
    there = {str(one.metadata["Name"]).lower() for one in distributions()}
    return [engine for build, engine in builds.items() if build in there]


def _models(given: Path | None, folder: Path) -> dict[str, str]:
    """Folders by short name."""
    if given is None:
        return {"T": "vehicle-t"}
    if given.is_file():
        with tarfile.open(given) as packed:
            packed.extractall(folder / "models", filter="data")
        given = folder / "models"
    return {name: str(given / name) for name in ("T", "S", "L") if (given / name).is_dir()}


def _side(model: str, machine: Machine) -> int:
    size = model_info(model).input_size
    return machine.side if size is None else max(size)


def _ways(machine: Machine) -> Iterator[tuple[str, str]]:
    """Engines with their precisions, what matters most first."""
    if not machine.gpu:
        yield from ((engine.name, "fp32") for engine in ENGINES if engine.version())
        return
    there = _drivers_of_gpus()
    if "onnxruntime" in there:
        yield "onnxruntime:cuda", "fp32"
        yield "onnxruntime:tensorrt", "fp16"
    if "paddle" in there:
        yield "paddle", "fp32"
        yield "paddle", "fp16"
        yield "paddle:tensorrt", "fp16"
    if "onnxruntime" in there:
        yield "onnxruntime:tensorrt", "fp32"


def _ask(task: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
    """What a process of its own says, line by line; the last has a `reason` where it did not end well."""
    if seconds < LEAST_S:
        return [{"reason": "no time left"}]
    words = [sys.executable, __file__, "--one", json.dumps(task)]
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(words, stdout=said, stderr=errors, text=True)
        try:
            code = child.wait(seconds)
            reason = f"exit code {code}" if code else ""
        except subprocess.TimeoutExpired:
            reason = f"no time left after {seconds:.0f} s"
        finally:
            child.kill()
            child.wait()
        said.seek(0)
        errors.seek(0)
        lines = [json.loads(line) for line in said if line.startswith("{")]
        last = errors.read().strip().splitlines()[-1:]
    if reason.startswith("exit"):
        reason = last[0][:160] if last else reason
    return [*lines, {"reason": reason}] if reason or not lines else lines


def _say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


# What the processes do


def _tiles(side: int, count: int) -> np.ndarray:
    """Tiles `(N, side, side, 3)` of a drawn town; two different ones, over and over."""
    pair = render(SceneSpec(width=2 * side, height=side, seed=5, nodata=False)).reshape(side, 2, side, 3)
    return np.resize(pair.transpose(1, 0, 2, 3), (count, side, side, 3))


def reference(model: str, side: int, to: str) -> None:
    """What the CPU finds in two tiles, in fp32."""
    detector = load_model(model, device="cpu")
    found = found_in(detector, _tiles(side, 2))
    np.savez(to, **found._asdict())
    _say(runs_on=detector.engine, boxes=len(found.boxes))


def sweep(  # noqa: PLR0913 -- a task, from JSON
    *,
    model: str,
    engine: str,
    precision: str,
    device: str,
    side: int,
    batches: list[int],
    seconds: float,
    reference: str,
) -> None:
    """Agreement, then speed batch by batch, then the batch that `auto` takes."""
    detector = load_model(model, engine=engine, precision=precision, device=device, batch=1)
    assert isinstance(detector, ExportedDetector)
    pair = _tiles(side, 2)
    gap = None
    if Path(reference).is_file():
        with np.load(reference) as table:
            known = Found(table["boxes"], table["scores"], table["groups"])
        gap = agreement_of(known, found_in(detector, pair))._asdict()
    _say(runs_on=detector.engine, agreement=gap)
    for batch in batches:
        try:
            ms = median_ms(detector.bare_call(_tiles(side, batch)), 30, seconds) / batch
        except SodsliceError as error:
            _say(batch=batch, reason=" ".join(str(error).split())[:160])
            break
        _say(batch=batch, ms=ms)
    detector.fit_batch((side, side))
    _say(fitted=detector.batch)


def scene(model: str, scene: str, device: str) -> None:
    """A run with the default settings; then its reading alone, and its inference alone."""
    from contextlib import closing

    from sodslice.running import make_plan, run
    from sodslice.running.batches import Reading, read_batches
    from sodslice.scene import open_scene, seen_at
    from sodslice.scene.layout import block_cache

    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        result = run(scene, model=model, options={"device": device}, output=Path(folder) / "found.json")
        wall = time.perf_counter() - began
    peak, tiles = peak_mb(), result.provenance.counts.read
    with closing(open_scene(scene)) as opened:
        plan = make_plan(opened, model=model, options={"device": device})
        width, height = plan.grid.full_size
        reading = Reading(1, (height, width), plan.readers)
        began = time.perf_counter()
        with block_cache(plan.looked_at.reading.cache_bytes):
            for _ in read_batches(seen_at(opened, plan.seen_px), plan.grid.tiles(plan.ids), reading):
                pass
        read_s = time.perf_counter() - began
    detector = load_model(model, device=device)
    assert isinstance(detector, ExportedDetector)
    pixels = np.resize(_tiles(max(width, height), 2)[:, :height, :width], (detector.batch, height, width, 3))
    ms = median_ms(detector.bare_call(pixels), 10, 3.0) / detector.batch
    _say(
        runs_on=result.provenance.engine, tiles=tiles, tile_px=[width, height], batch=detector.batch,
        wall_s=wall, sweep_s=result.timings.seconds["sweep"], read_s=read_s, bare_s=tiles * ms / 1e3,
        peak_mb=peak, objects=len(result),
    )  # fmt: skip


ONES: dict[str, Callable[..., None]] = {"reference": reference, "sweep": sweep, "scene": scene}


def _large_scene(path: Path, side: int) -> Path:
    """A drawn town over and over, as a GeoTIFF of JPEG tiles: written in seconds, and read like any other."""
    import rasterio
    from rasterio.windows import Window

    piece = min(2048, side)
    town = render(SceneSpec(width=piece, height=piece, nodata=False)).transpose(2, 0, 1)
    row = np.tile(town, (1, 1, -(-side // piece)))[:, :, :side]
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(0.12, 0, 5e5, 0, -0.12, 5.3e6)}
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=3, dtype="uint8", num_threads="all_cpus",
        jpeg_quality=90, **LAID_OUT, **place,
    ) as dataset:  # fmt: skip
        for top in range(0, side, piece):
            high = min(piece, side - top)
            dataset.write(row[:, :high], window=Window(0, top, side, high))
    return path


# Showing

WIDTHS = (6, 21, 10, 6, 9, 9, 8, 9, 6)


def show(cells: tuple[str, ...]) -> None:
    """Print a line: words to the left, numbers to the right; the last cell may be long."""
    fitted = [
        cell.ljust(width) if place < 3 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells[: len(WIDTHS)], WIDTHS, strict=False))
    ]
    print("".join([*fitted, *cells[len(WIDTHS) :]]).rstrip(), flush=True)


def _show_sweep(name: str, engine: str, precision: str, lines: list[dict[str, Any]]) -> None:
    head = name, engine, precision
    gap = next((line["agreement"] for line in lines if line.get("agreement")), None)
    said = ("", "", "", "")
    if gap:
        fine = gap["gap_px"] <= TOLERANCE_PX and gap["gap_score"] <= TOLERANCE_SCORE and not gap["missing"]
        verdict = "" if precision != "fp32" else "  agrees" if fine else "  DOES NOT AGREE"
        said = (f"{gap['gap_px']:.4f}", f"{gap['gap_score']:.5f}", str(gap["missing"]), verdict)
    for line in lines:
        if "ms" in line:
            show((*head, str(line["batch"]), f"{line['ms']:.2f}", f"{1e3 / line['ms']:.1f}", *said))
            said = ("", "", "", "")
        elif "fitted" in line:
            show((*head, "auto", f"  takes {line['fitted']} tiles a call"))
        elif line.get("reason"):
            show((*head, str(line.get("batch", "")), f"  cannot: {line['reason']}"))


def _show_scene(name: str, side: int, told: dict[str, Any]) -> None:
    print(f"end to end, {name}, {side} x {side} pixels: ", end="")
    if "reason" in told:
        print(f"cannot: {told['reason']}")
        return
    wall, sweep, reading, bare = (told[name] for name in ("wall_s", "sweep_s", "read_s", "bare_s"))
    hidden = max(0.0, min(1.0, (reading + bare - sweep) / min(reading, bare)))
    print(
        f"{wall:.1f} s, {told['tiles']} tiles, {told['batch']} a call, {side**2 / wall / 1e6:.1f} Mpx/s, "
        f"{told['peak_mb']:.0f} MB, {told['objects']} objects"
    )
    print(f"    {told['runs_on']}")
    print(
        f"    its tiles {sweep:.1f} s, reading alone {reading:.1f} s, inference alone {bare:.1f} s: "
        f"{sweep / max(reading, bare):.2f} x the longer, {hidden:.0%} of the shorter is hidden behind it"
    )


if __name__ == "__main__":
    main()
