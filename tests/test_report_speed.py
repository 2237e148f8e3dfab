"""`sodslice bench`: what is measured, what becomes of rows that cannot run, and how it is shown."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner

from sodslice import Options
from sodslice.cli import group
from sodslice.errors import ModelError, OptionError
from sodslice.inference import ExportedDetector, InferenceChoice, ModelInfo, Preprocess
from sodslice.inference.engines import ENGINES, Engine
from sodslice.inference.engines.device import Device
from sodslice.report.speed import Bench, Effort, bench, benching, child, document_of, table_of
from sodslice.report.speed.agreement import Found, agreement_of
from sodslice.report.speed.candidates import candidates_of, precision_of
from sodslice.report.speed.child import measured
from sodslice.report.speed.records import Candidate, EndToEnd, Limit, Row
from sodslice.report.speed.table import aligned
from sodslice.report.speed.tasks import measure_product, median_ms

NUMBER, MAYBE = {"type": "number"}, {"type": ["number", "null"]}
RATES = {
    "tiles_per_s": MAYBE,
    "mpx_per_s": MAYBE,
    "gpx_per_h": MAYBE,
    "peak_mb": MAYBE,
    "reason": {"type": "string"},
}
SCHEMA = {
    "type": "object",
    "required": ["schema", "chip", "versions", "model", "tile_px", "rows", "end_to_end", "limit"],
    "properties": {
        "schema": {"const": 1},
        "versions": {"type": "object", "required": ["sodslice", "python"]},
        "tile_px": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
        "rows": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": [
                    "engine",
                    "precision",
                    "batch",
                    "ms",
                    "gap_px",
                    "missing",
                    "share_of_limit",
                    *RATES,
                ],
                "properties": {"batch": {"type": "integer"}, "ms": MAYBE, "gap_px": MAYBE, **RATES},
            },
        },
        "end_to_end": {
            "type": "object",
            "required": ["wall_s", "process_s", "overhead", "tiles", "objects", *RATES],
            "properties": {"wall_s": MAYBE, "overhead": MAYBE, "tiles": {"type": "integer"}, **RATES},
        },
        "limit": {
            "type": "object",
            "required": ["threads", "gflop_per_tile", "product_gflop_per_s", "reason"],
            "properties": {"threads": {"type": "integer"}, "gflop_per_tile": MAYBE},
        },
    },
}


def found(*rows: tuple[float, float, int]) -> Found:
    """Boxes of 10 pixels, by their left edge, score and group."""
    edges, scores, groups = zip(*rows, strict=True) if rows else ((), (), ())
    left = np.array(edges, float).reshape(-1, 1)
    return Found(left + [0, 0, 10, 10], np.array(scores, np.float32), np.array(groups, np.int64))


def test_a_table_agrees_with_itself():
    table = found((0, 0.9, 0), (30, 0.4, 0), (30, 0.3, 1))
    assert agreement_of(table, table) == (0, 0, 0)
    assert agreement_of(found(), found()) == (0, 0, 0)


def test_gaps_are_the_largest_of_both_ways_whatever_the_order():
    one = found((0, 0.9, 0), (30, 0.4, 0))
    other = found((30.5, 0.45, 0), (0.25, 0.9, 0))
    assert agreement_of(one, other) == agreement_of(other, one)
    assert agreement_of(one, other) == pytest.approx((0.5, 0.05, 0), abs=1e-6)


@pytest.mark.parametrize(
    ("other", "missing"),
    [
        (found((0, 0.9, 0)), 1),
        (found((0, 0.9, 0), (34, 0.4, 0)), 2),
        (found((0, 0.9, 0), (30, 0.4, 1)), 2),
        (found((0, 0.9, 0), (30, 0.02, 0)), 0),
        (found((0, 0.9, 0), (30, 0.4, 0), (80, 0.049, 0)), 0),
    ],
)
def test_sure_boxes_that_one_lacks_are_counted_and_not_gaps(other, missing):
    assert agreement_of(found((0, 0.9, 0), (30, 0.4, 0)), other).missing == missing


def test_the_median_is_of_calls_after_the_first_at_least_three_and_no_more_than_asked():
    calls = []
    assert median_ms(lambda: calls.append(1), repeats=5, seconds=60) < 100
    assert len(calls) == 6
    calls.clear()
    median_ms(lambda: calls.append(1), repeats=5, seconds=0)
    assert len(calls) == 4


def test_a_product_of_matrices_has_a_speed():
    assert measure_product(64, 0.01)["product_gflop_per_s"] > 0


# Which rows there are


@pytest.fixture
def slow_engine():
    """An engine that is installed, computes in two precisions, and has a plain backend."""
    engine = Engine(
        "slow",
        (".json",),
        version=lambda: "1",
        pick=lambda asked: asked or Device("cpu"),
        load=lambda request: pytest.fail("nothing is loaded to know the rows"),
        precisions=lambda kind: ("fp32", "bf16", "int8"),
    )
    ENGINES.register("slow", engine)
    yield engine
    ENGINES.unregister("slow")


def ways(effort: Effort, **asked) -> list[tuple[str, str, int]]:
    return [(c.engine, c.precision, c.batch) for c in candidates_of(InferenceChoice(**asked), effort)]


def test_each_precision_of_an_engine_is_a_row_and_int8_is_a_graph_of_its_own(slow_engine):
    assert ways(Effort(engines=("slow",))) == [("slow", "fp32", 1), ("slow", "bf16", 1)]


def test_a_batch_that_is_asked_for_stands_beside_one_tile(slow_engine):
    assert ways(Effort(engines=("slow",)), batch=4)[:2] == [("slow", "fp32", 1), ("slow", "fp32", 4)]
    assert ways(Effort(engines=("slow",)), batch=1)[:2] == [("slow", "fp32", 1), ("slow", "bf16", 1)]


def test_a_device_that_is_no_cpu_gets_one_tile_and_as_many_as_fit(slow_engine):
    assert ways(Effort(engines=("slow",)), device="gpu")[:2] == [("slow", "fp32", 1), ("slow", "fp32", 0)]


def test_plain_paddle_is_a_row_only_where_it_is_asked_for():
    words = [engine for engine, *_ in ways(Effort())]
    assert "paddle:plain" not in words
    assert ways(Effort(baseline=True))[-1] == ("paddle:plain", "fp32", 1)


def test_all_engines_that_are_installed_and_read_the_graph_are_measured():
    installed = [engine.name for engine in ENGINES if engine.version()]
    assert list(dict.fromkeys(engine for engine, *_ in ways(Effort()))) == installed


def test_a_detector_without_a_graph_has_one_row():
    assert ways(Effort(), model="blobs") == [("auto", "fp32", 1)]


def test_a_quantised_graph_is_int8_and_has_one_precision(tmp_path):
    folder = tmp_path / "quantised"
    folder.mkdir()
    words = "label_list: [car]\nPreprocess: [{type: Permute}]\nsodslice: {precision: int8}\n"
    (folder / "inference.yml").write_text(words)
    for name in ("inference.xml", "inference.bin"):
        (folder / name).touch()
    assert precision_of(str(folder), "fp32") == "int8"
    assert precision_of("vehicle-t", "bf16") == "bf16"
    rows = candidates_of(InferenceChoice(), Effort(engines=("openvino",), beside=(str(folder),)))
    assert [row.precision for row in rows if row.model == str(folder)] == ["fp32"]


def test_an_unknown_engine_or_model_is_an_error():
    with pytest.raises(OptionError, match="unknown engine 'openvina'.*did you mean 'openvino'"):
        candidates_of(InferenceChoice(), Effort(engines=("openvina",)))
    with pytest.raises(ModelError, match="unknown model 'vehicle-x'"):
        candidates_of(InferenceChoice(model="vehicle-x"), Effort())


# A process for each


def test_a_process_that_ends_badly_gives_a_reason():
    assert "KeyError: 'nonsense'" in measured("nonsense", {})["reason"]


def test_what_the_library_refuses_is_the_reason():
    given = {"model": "vehicle-x", "tile": 64, "sides": [64, 64]}
    assert measured("count", given)["reason"].startswith("unknown model 'vehicle-x'")


def test_a_process_that_is_killed_says_by_what(monkeypatch):
    dead = subprocess.CompletedProcess([], -11, b"", b"")
    monkeypatch.setattr(child.subprocess, "run", lambda *_, **__: dead)
    assert measured("product", {}) == {"reason": "its process was killed by SIGSEGV"}


def test_the_library_of_linear_algebra_is_told_its_threads(monkeypatch):
    told = {}
    dead = subprocess.CompletedProcess([], 1, b"", b"")
    monkeypatch.setattr(child.subprocess, "run", lambda *_, env, **__: told.update(env) or dead)
    assert measured("product", {}, threads=3) == {"reason": "its process ended with exit code 1"}
    assert {told["OMP_NUM_THREADS"], told["OPENBLAS_NUM_THREADS"]} == {"3"}


# All together, with faked measurements


def faked(name, given, *, threads=None):
    """What processes would answer: onnxruntime cannot, openvino is twice as fast as paddle."""
    if name == "run":
        return {"wall_s": 2.0, "tiles": 10, "runs_on": "x", "objects": 3, "peak_mb": 300.0, "process_s": 3.0}
    if name == "product":
        return {"product_gflop_per_s": 100.0, "process_s": 1.0}
    if name == "count":
        return {"gflop_per_tile": 8.0, "process_s": 1.0}
    engine = given["candidate"]["engine"]
    if engine == "onnxruntime":
        return {"reason": "ONNX Runtime cannot run it: no such operation"}
    shift = 0.0 if engine == "openvino" else 0.01
    np.savez(given["boxes"], **found((5 + shift, 0.9, 0))._asdict())
    ms = 100.0 if engine == "openvino" else 200.0
    answer = {"batch": 1, "runs_on": engine, "ms": ms, "ms_prepared": ms + 5, "peak_mb": 200.0}
    return {**answer, "process_s": 1.0}


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(benching, "measured", faked)
    for name in ("openvino", "onnxruntime", "paddle"):
        known = replace(ENGINES[name], precisions=lambda kind: ("fp32",), version=lambda: "1.2")
        monkeypatch.setitem(ENGINES._made, name, known)


@pytest.fixture
def done(fake) -> Bench:
    return bench(Options(), Effort(side=64))


def test_rows_are_compared_with_the_first_in_fp32_and_a_row_that_cannot_run_is_no_end(done):
    first, cannot, other = done.rows
    assert (first.engine, first.ms, first.gap_px) == ("openvino", 100.0, None)
    assert (cannot.ms, cannot.reason) == (None, "ONNX Runtime cannot run it: no such operation")
    assert (other.gap_px, other.gap_score, other.missing) == (pytest.approx(0.01), 0, 0)


def test_overhead_is_wall_over_tiles_by_the_bare_graph_of_the_chosen_engine(done):
    assert (done.end_to_end.engine, done.end_to_end.bare_ms) == ("openvino", 100.0)
    assert done.end_to_end.overhead == pytest.approx(2.0 / (10 * 0.1))


def test_the_share_of_the_limit_is_work_over_time_over_the_speed_of_a_product(done):
    assert done.limit.share(100.0) == pytest.approx(8.0 / 0.1 / 100.0)
    assert done.limit.share(None) is None
    assert Limit(2).share(100.0) is None


def test_the_document_keeps_to_its_schema(done):
    document = json.loads(json.dumps(document_of(done)))
    jsonschema.validate(document, SCHEMA)
    assert document["rows"][0]["tiles_per_s"] == 10
    assert document["rows"][0]["gpx_per_h"] == pytest.approx(10 * 64 * 64 / 1e6 * 3.6)
    assert document["end_to_end"]["mpx_per_s"] == pytest.approx(64 * 64 / 1e6 / 2)


def test_a_document_without_any_number_keeps_to_its_schema_too():
    nothing = Bench(
        "m", "a chip", {"sodslice": "1", "python": "3"}, (64, 64),
        (Row("m", "auto", "fp32", 1, "broken"),), EndToEnd("auto", "fp32", "broken"), Limit(2, reason="none"),
    )  # fmt: skip
    jsonschema.validate(json.loads(json.dumps(document_of(nothing))), SCHEMA)
    assert "its own  fp32           1  cannot: broken" in table_of(nothing)
    assert "end to end   auto, fp32, a drawn scene of 0.0 Mpx: cannot: broken" in table_of(nothing)


def test_the_table_names_the_chip_and_has_a_line_for_each_row(done):
    lines = table_of(replace(done, chip="a chip, 2 cores, avx2"))
    assert lines[0] == "a chip, 2 cores, avx2"
    start = next(number for number, line in enumerate(lines) if line.startswith("engine"))
    assert [" ".join(line.split()) for line in lines[start : start + 4]] == [
        "engine precision batch ms/tile prepared tiles/s Mpx/s Gpx/h MB px score boxes limit",
        "openvino fp32 1 100.0 105.0 10.00 0.04 0.1 200 - - - 80%",
        "onnxruntime fp32 1 cannot: ONNX Runtime cannot run it: no such operation",
        "paddle fp32 1 200.0 205.0 5.00 0.02 0.1 200 0.0100 0.00000 0 40%",
    ]
    assert lines[-1] == "limit        8.0 GFLOP a tile; numpy's product 100 GFLOP/s with 2 threads".replace(
        "with 2", f"with {done.limit.threads}"
    )


def test_numbers_stand_below_their_headings_and_a_reason_may_be_long():
    assert aligned(
        [("engine", "p", "ms"), ("a", "fp32", "100.0"), ("long name", "x", "1"), ("b", "cannot: it")]
    ) == [
        "engine     p        ms",
        "a          fp32  100.0",
        "long name  x         1",
        "b          cannot: it",
    ]


def test_the_watcher_hears_of_every_measurement(fake):
    heard = []

    class Watcher(benching.Events):
        def progress(self, done, total):
            heard.append((done, total))

    bench(Options(), Effort(side=64), Watcher())
    assert heard == [(number, 6) for number in range(1, 7)]


def test_an_engine_that_is_chosen_and_not_asked_for_is_measured_for_the_overhead_alone(fake):
    done = bench(Options(), Effort(side=64, engines=("paddle",)))
    assert [row.engine for row in done.rows] == ["paddle"]
    assert (done.end_to_end.engine, done.end_to_end.bare_ms) == ("openvino", 100.0)


def test_nothing_is_left_lying_about_when_it_is_interrupted(monkeypatch, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(benching, "measured", interrupted)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        bench(Options(), Effort(side=64))
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_the_table_and_writes_the_numbers(fake, tmp_path):
    target = tmp_path / "bench.json"
    words = ["bench", "--quick", "--side", "64", "--engines", "openvino, paddle", "-q", "--json", str(target)]
    done = CliRunner().invoke(group, words)
    assert done.exit_code == 0, done.output
    assert "end to end   openvino, fp32" in done.stdout
    document = json.loads(target.read_bytes())
    jsonschema.validate(document, SCHEMA)
    assert [row["engine"] for row in document["rows"]] == ["openvino", "paddle"]


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(benching, "measured", lambda *_, **__: pytest.fail("too late"))
    (tmp_path / "file").touch()
    code = f"from sodslice.cli import main; main({['bench', '--json', str(tmp_path / 'file' / 'a.json')]!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: cannot write to the folder {tmp_path / 'file'}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_default_model_is_measured_on_this_machine(tmp_path):
    effort = Effort(side=320, repeats=3, seconds=1, product_side=256, baseline=True)
    done = bench(Options(), effort)
    jsonschema.validate(json.loads(json.dumps(document_of(done))), SCHEMA)
    ran = {(row.engine, row.precision): row for row in done.rows if not row.reason}
    assert {("paddle", "fp32"), ("paddle:plain", "fp32")} <= set(ran)
    for row in ran.values():
        assert row.ms <= row.ms_prepared * 2
        assert 50 < row.peak_mb < 2000
        if row.precision == "fp32" and row.gap_px is not None:
            assert row.gap_px <= 0.05
            assert row.gap_score <= 1e-3
            assert row.missing == 0
    assert done.end_to_end.tiles == 1
    assert done.limit.gflop_per_tile == pytest.approx(4.02 / 4, rel=0.01)


@pytest.mark.slow
def test_a_detector_without_a_graph_is_measured_too():
    done = bench(
        Options.from_mapping({"model": "blobs"}), Effort(side=128, repeats=3, seconds=1, product_side=64)
    )
    assert done.rows[0].ms is not None
    assert done.limit.reason == "blobs has no graph whose operations could be counted"


def test_a_candidate_travels_as_json():
    one = Candidate("m", "openvino", "fp32", 1, "auto", None)
    assert Candidate(**json.loads(json.dumps(asdict(one)))) == one
    assert Path(child.__file__).parent == Path(benching.__file__).parent


def test_a_bare_call_runs_the_graph_alone_on_tiles_that_were_prepared_before():
    class Graph:
        input_names, description = ("image",), "a graph"

        def __init__(self):
            self.shapes = []

        def run(self, feeds):
            self.shapes.append(feeds["image"].shape)
            return []

    graph = Graph()
    detector = ExportedDetector(graph, Preprocess([{"type": "Permute"}]), ModelInfo(("car",)), batch=2)
    call = detector.bare_call(np.zeros((1, 32, 64, 3), np.uint8))
    assert graph.shapes == []
    call()
    detector.bare_call(np.zeros((3, 32, 64, 3), np.uint8))()
    assert graph.shapes == [(2, 3, 32, 64), (3, 3, 32, 64)]
