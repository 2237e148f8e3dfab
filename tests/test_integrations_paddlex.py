"""PaddleX's pipeline on sodslice: `Crew`, inputs, results, files."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import sodslice
from sodslice.errors import DeviceError, ModelError, OptionError, OutputError, SceneError
from sodslice.integrations.paddlex import DetResult, SmallObjectDetectionPipeline, create_pipeline
from sodslice.integrations.paddlex.crew import Crew
from sodslice.integrations.paddlex.inputs import GivenImages, rgb_of
from sodslice.models import resolve_model
from sodslice.settings import Options
from tests.tiny_models import PERMUTE, export_bright_box

SIDE = 160
RESIZE = {"type": "Resize", "target_size": [SIDE, SIDE], "keep_ratio": False, "interp": 2}


def bright(width=120, height=90, box=(40, 30, 70, 50)) -> np.ndarray:
    """RGB with one bright box whose colour tells RGB from BGR."""
    pixels = np.zeros((height, width, 3), np.uint8)
    x0, y0, x1, y1 = box
    pixels[y0:y1, x0:x1] = (255, 240, 225)
    return pixels


def blobs(**module):
    inner = {"model_name": "blobs", **module}
    return {"pipeline_name": "small_object_detection", "SubModules": {"SmallObjectDetection": inner}}


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """A model of a fixed input, as PaddleDetection exports it."""
    folder = tmp_path_factory.mktemp("models") / "bright"
    return export_bright_box(folder, preprocess=[RESIZE, PERMUTE])


@pytest.fixture
def pipeline():
    with create_pipeline(config=blobs(threshold=0.2)) as ready:
        yield ready


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, with images in it and below."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "deep").mkdir(parents=True)
    for name in ("b.png", "a.jpg", "deep/a.png", "z.bmp"):
        Image.fromarray(bright()).save(tmp_path / "data" / name, quality=100)
    (tmp_path / "data" / "notes.docx").write_text("no image")
    return tmp_path


def boxes_of(result) -> list[list[int]]:
    return [[round(edge) for edge in box["coordinate"]] for box in result["boxes"]]


# Inputs


def test_every_kind_of_input_that_paddlex_promises_finds_the_same(folder, pipeline):
    bgr, file = bright()[:, :, ::-1], "data/b.png"
    kinds = [
        bgr, file, Path(file), [file, bgr], {"img": file}, {"img": bgr}, {"img_path": file}, [{"img": file}],
        {"img": [file]}, (file,), Path(file).read_bytes(), Image.open(file),
    ]  # fmt: skip
    for given in kinds:
        for result in pipeline.predict(given):
            assert boxes_of(result) == [[40, 30, 70, 50]], given


def test_a_folder_is_searched_and_sorted(folder, pipeline):
    found = [result["input_path"] for result in pipeline.predict("data")]
    assert found == ["data/a.jpg", "data/b.png", "data/deep/a.png", "data/z.bmp"]
    several = [result["input_path"] for result in pipeline.predict(["data/deep", "data/b.png"])]
    assert several == ["data/deep/a.png", "data/b.png"]


def test_arrays_are_bgr_and_pictures_rgb(folder, pipeline):
    (result,) = pipeline.predict(bright()[:, :, ::-1])
    assert np.array_equal(result["input_img"], bright()[:, :, ::-1])
    assert tuple(result.img["res"].getpixel((55, 45))) == (255, 240, 225)
    alpha = np.dstack([bright()[:, :, ::-1], np.full((90, 120), 9, np.uint8)])
    assert np.array_equal(rgb_of(alpha)[..., :3], bright())
    grey = bright()[..., 0]
    assert rgb_of(grey) is grey


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "an input must be a path, .* got NoneType"),
        (7, "got int"),
        ({"image": "a.jpg"}, r'a dict must hold one image, as \{"img": ...\} or .*, got image'),
        ({"img": "a.jpg", "size": 3}, "got img, size"),
        ({}, "got nothing"),
        ("", "the name of the input is empty"),
        ("nowhere.jpg", "there is no file nowhere.jpg"),
        (["data/b.png", object()], "got object"),
        ("empty", "empty holds no images"),
    ],
)
def test_nothing_is_dropped_in_silence(folder, pipeline, given, words):
    (folder / "empty").mkdir()
    with pytest.raises(SceneError, match=words):
        list(pipeline.predict(given))


def test_an_empty_list_gives_nothing(pipeline):
    assert list(GivenImages([])) == []
    assert list(pipeline.predict([])) == []


# Results


def test_results_are_paddlexs(folder, pipeline):
    (result,) = pipeline.predict("data/b.png")
    assert isinstance(result, DetResult)
    assert isinstance(result, dict)
    assert list(result) == ["input_path", "page_index", "boxes"]
    assert result["input_path"] == "data/b.png"
    assert result["page_index"] is None
    (box,) = result["boxes"]
    assert list(box) == ["cls_id", "label", "score", "coordinate"]
    assert (type(box["cls_id"]), type(box["label"]), type(box["score"])) == (int, str, float)
    assert all(type(edge) is float for edge in box["coordinate"])
    assert result.json == {"res": dict(result)}
    result.json["res"]["boxes"].clear()
    assert len(result["boxes"]) == 1
    with pytest.raises(KeyError):
        result["masks"]


def test_the_schema_is_that_of_our_own_json(folder, pipeline):
    (result,) = pipeline.predict("data/b.png")
    sodslice.run("data/b.png", model="blobs", options={"threshold": 0.2}, output="own.json")
    own = json.loads(Path("own.json").read_text())
    assert {key: own[key] for key in result} == dict(result)


def test_results_can_be_copied_and_sent(folder, pipeline):
    (result,) = pipeline.predict("data/b.png")
    for same in (copy.deepcopy(result), pickle.loads(pickle.dumps(result)), copy.copy(result)):
        assert same == dict(result)


def test_printing_is_a_dict_or_json(folder, pipeline, capsys):
    (result,) = pipeline.predict("data/b.png")
    result.print()
    assert capsys.readouterr().out == f"{result.json}\n"
    result["boxes"][0]["label"] = "é"
    result.print(json_format=True, indent=1)
    out = capsys.readouterr().out
    assert json.loads(out) == result.json
    assert out.startswith('{\n "res"')
    assert "é" in out
    result.print(json_format=True, ensure_ascii=True)
    assert "\\u00e9" in capsys.readouterr().out


def test_files_are_named_as_paddlexs(folder, pipeline):
    for result in pipeline.predict(["data/a.jpg", "data/b.png"]):
        result.save_to_json("out")
        result.save_to_img("out/")
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "a_res.jpg", "a_res.json", "b_res.json", "b_res.png",
    ]  # fmt: skip
    text = Path("out/b_res.json").read_text()
    assert json.loads(text) == dict(result)
    assert text.startswith('{\n    "input_path"')
    assert Image.open("out/a_res.jpg").size == (120, 90)


def test_a_file_that_is_named_is_written(folder, pipeline):
    (result,) = pipeline.predict("data/b.png")
    result.save_to_json("deep/x.json", indent=None)
    result.save_to_img("deep/x.jpg")
    assert sorted(path.name for path in Path("deep").iterdir()) == ["x.jpg", "x.json"]
    assert "\n" not in Path("deep/x.json").read_text()


def test_images_of_one_name_and_of_none_do_not_overwrite_each_other(folder, pipeline):
    given = ["data/a.jpg", "data/deep/a.png", bright(), bright()]
    assert len(list(pipeline.predict(given, save_path="out"))) == 4
    assert len(list(pipeline.predict(bright(), save_path="out"))) == 1
    assert sorted(path.name for path in Path("out").glob("*.json")) == [
        "a-2_res.json", "a_res.json", "image-1_res.json", "image-2_res.json", "image-3_res.json",
    ]  # fmt: skip
    assert Path("out/image-1_res.png").is_file()


@pytest.mark.parametrize(
    ("name", "saved"), [("a.tif", "a_res.tif"), ("a.img", "a_res.png"), ("a", "a_res.png")]
)
def test_pictures_have_a_suffix_that_can_be_written(folder, pipeline, name, saved):
    Path(name).write_bytes(Path("data/b.png").read_bytes())
    (result,) = pipeline.predict(name)
    result.save_all("out")
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(["a_res.json", saved])
    assert Image.open(Path("out") / saved).format == {".tif": "TIFF", ".png": "PNG"}[Path(saved).suffix]


def test_a_picture_of_what_is_gone_is_refused(folder, pipeline):
    (result,) = pipeline.predict("data/b.png")
    Path("data/b.png").unlink()
    with pytest.raises(SceneError):
        result.save_to_img("out")
    result.save_to_json("out")


def test_names_that_are_taken_are_counted_on(folder, pipeline):
    Image.fromarray(bright()).save("data/a-2.jpg")
    Image.fromarray(bright()).save("image-1.png")
    given = ["data/a.jpg", "data/deep/a.png", "data/a-2.jpg", bright(), "image-1.png"]
    names = [result.name for result in pipeline.predict(given, save_path="out")]
    assert names == ["a", "a-2", "a-2-2", "image-1", "image-1-2"]
    assert len(list(Path("out").glob("*.json"))) == 5


def test_own_pictures_do_not_become_inputs(folder, pipeline):
    for _ in range(2):
        assert len(list(pipeline.predict("data", save_path="data/out"))) == 4


def test_after_an_error_the_next_image_comes(folder, pipeline):
    (folder / "empty").mkdir()
    results = pipeline.predict(["nowhere.png", ["data/b.png", {"img": "empty"}], object(), "data/a.jpg"])
    found = []
    for _ in range(5):
        try:
            found.append(next(results).name)
        except SceneError:
            found.append(None)
    assert found == [None, "b", None, None, "a"]
    with pytest.raises(StopIteration):
        next(results)


@pytest.mark.parametrize("name", ["file", "x.json", "x.JPG"])
def test_a_save_path_that_is_a_file_or_called_like_one_is_refused_at_once(folder, pipeline, name):
    Path("file").write_text("x")
    with pytest.raises(OutputError, match=f"a folder is wanted for the results, got {name}; give another"):
        pipeline.predict("data", save_path=name)
    Path("v1.json").mkdir()
    assert len(list(pipeline.predict("data/b.png", save_path="v1.json"))) == 1


@pytest.mark.parametrize("name", ["all.jpg", "all.json"])
def test_saving_all_takes_a_folder_whatever_it_is_called(folder, pipeline, name):
    (result,) = pipeline.predict("data/b.png")
    result.save_all(name)
    assert sorted(path.name for path in Path(name).iterdir()) == ["b_res.json", "b_res.png"]


def test_suffixes_keep_their_capitals(folder, pipeline):
    Image.fromarray(bright()).save("A.JPG")
    assert len(list(pipeline.predict("A.JPG", save_path="out"))) == 1
    assert sorted(path.name for path in Path("out").iterdir()) == ["A_res.JPG", "A_res.json"]


@pytest.mark.parametrize("suffix", [".svg", ".heic", ".psd", ".ico"])
def test_pictures_that_are_not_written_are_refused(folder, pipeline, suffix):
    (result,) = pipeline.predict("data/b.png")
    with pytest.raises(
        OutputError, match=f"pictures are not written as {suffix}, got x{suffix}; end its name"
    ):
        result.save_to_img(f"x{suffix}")
    assert not Path(f"x{suffix}").exists()


@pytest.mark.parametrize(("name", "width", "limit"), [("x.webp", 17000, 16383), ("x.jpg", 66000, 65500)])
def test_pictures_that_are_too_large_for_their_format_are_refused(tmp_path, pipeline, name, width, limit):
    (result,) = pipeline.predict(np.zeros((40, width, 3), np.uint8))
    with pytest.raises(OutputError, match=f"has at most {limit} pixels a side, the picture has {width} x 40"):
        result.save_to_img(tmp_path / name)
    result.save_to_img(tmp_path)
    assert (tmp_path / f"{result.name}_res.png").is_file()


def test_words_may_be_given_by_position_and_by_the_name_of_paddlexs_page(folder, pipeline, capsys):
    (result,) = pipeline.predict("data/b.png")
    result["boxes"][0]["label"] = "é"
    result.print(True, 1, True)
    by_place = capsys.readouterr().out
    result.print(format_json=True, indent=1, ensure_ascii=True)
    assert capsys.readouterr().out == by_place
    assert by_place.startswith('{\n "res"')
    result.save_to_json("x.json", 1, True)
    assert "\\u00e9" in Path("x.json").read_text()


def test_what_alpha_hides_is_not_found(pipeline):
    clear = np.dstack([bright()[:, :, ::-1], np.full((90, 120), 255, np.uint8)])
    (seen,) = pipeline.predict(clear, slice=False)
    clear[30:50, 40:70, 3] = 0
    (hidden,) = pipeline.predict(clear, slice=False)
    assert (len(seen["boxes"]), len(hidden["boxes"])) == (1, 0)


# Thresholds, batches, devices


def test_predict_is_a_generator_that_works_image_by_image(folder, pipeline):
    results = pipeline.predict(["data/b.png", "nowhere.png"])
    assert next(results)["boxes"]
    with pytest.raises(SceneError, match="nowhere"):
        next(results)


def test_thresholds_of_caller_and_yaml_count_even_if_they_are_whole(folder):
    with create_pipeline(config=blobs(threshold=1)) as strict:
        score = sodslice.run("data/b.png", model="blobs").detections.scores[0]
        assert 0 < score < 1
        (none,) = strict.predict("data/b.png")
        (one,) = strict.predict("data/b.png", threshold=0)
        (same,) = strict.predict("data/b.png", {0: 0})
        (other,) = strict.predict("data/b.png", threshold={0: float(score) + 0.01})
        assert [len(r["boxes"]) for r in (none, one, same, other)] == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ({"threshold": 1.5}, "`threshold`"),
        ({"threshold": {5: 0.5}}, "names the class '5'"),
        ({"batch_size": 0}, "batch"),
    ],
)
def test_wrong_arguments_are_refused_before_the_first_image(pipeline, words, error):
    with pytest.raises(OptionError, match=error):
        pipeline.predict("nowhere.png", **words)


def test_a_batch_changes_no_result_and_loads_the_model_once(exported, tmp_path):
    Image.fromarray(bright(500, 400)).save(tmp_path / "a.png")
    config = blobs(model_dir=str(exported))
    with create_pipeline(config=config, device="cpu") as ready:
        (one,) = ready.predict(str(tmp_path / "a.png"))
        (many,) = ready.predict(str(tmp_path / "a.png"), batch_size=3)
        assert dict(one) == dict(many)
        crew = ready._crew
        first = dict(crew._detectors)
        list(ready.predict([str(tmp_path / "a.png")] * 2, batch_size=3))
        assert crew._detectors == first
        assert len(first) == 2


def test_the_input_of_a_model_does_not_follow_from_the_first_image(exported, tmp_path, monkeypatch):
    Image.fromarray(bright(500, 400)).save(tmp_path / "a.png")
    sides = []

    def seen(*words, tile):
        sides.append(tile)
        return resolve_model(*words, tile=tile)

    monkeypatch.setattr("sodslice.integrations.paddlex.crew.resolve_model", seen)
    with create_pipeline(config=blobs(model_dir=str(exported)), options={"tile": 64}) as ready:
        list(ready.predict(str(tmp_path / "a.png"), batch_size=3, slice=False))
    assert sides == [64, 64]


def test_several_processes_share_files_and_refuse_what_is_in_memory(tmp_path):
    Image.fromarray(bright(500, 400)).save(tmp_path / "a.png")
    options = {"model": "blobs", "workers": 2, "tile": 200, "threshold": 0.2}
    with create_pipeline("small_object_detection", options=options) as ready:
        (found,) = ready.predict(str(tmp_path / "a.png"))
        assert boxes_of(found) == [[40, 30, 70, 50]]
        with pytest.raises(SceneError, match="the image array is in this process alone, and several devices"):
            list(ready.predict(bright()))


def test_a_file_that_is_called_like_an_array_is_not_looked_at_in_its_place(folder):
    Image.fromarray(bright(300, 300, (200, 200, 230, 220))).save("array.png")
    Path("array.png").rename("array")
    options = {"model": "blobs", "workers": 2, "tile": 100}
    with create_pipeline("small_object_detection", options=options) as ready:
        for given in (bright(300, 300), Path("data/b.png").read_bytes()):
            with pytest.raises(SceneError, match="is in this process alone"):
                list(ready.predict(given))


@pytest.mark.parametrize("device", ["gpu:7", "gpu:6,7", "npu:5"])
def test_a_device_that_is_not_there_is_an_error_at_once(exported, device):
    with pytest.raises(DeviceError, match=device.partition(",")[0]):
        create_pipeline(config=blobs(model_dir=str(exported)), device=device)


def test_devices_are_spelt_as_paddlexs(exported):
    with pytest.raises(DeviceError, match="unknown device 'tpu:0'"):
        create_pipeline(config=blobs(model_dir=str(exported)), device="tpu:0")
    with pytest.raises(DeviceError, match="the CPU takes no index"):
        create_pipeline(config=blobs(model_dir=str(exported)), device="cpu:0")


def test_a_crew_says_a_note_once(exported, caplog, tmp_path):
    crew = Crew(Options.from_mapping({"model": str(exported), "tile": 400}))
    options = Options.from_mapping({"model": str(exported), "tile": 400})
    for _ in range(2):
        crew.found_in(sodslice.open_scene(bright(300, 300)), options)
    crew.close()
    assert len([record for record in caplog.records if "are resized" in record.message]) == 1


# Slicing


def test_large_images_are_sliced_and_small_ones_are_not(exported, tmp_path):
    large = bright(600, 600, (300, 300, 303, 303))
    with create_pipeline(config=blobs(model_dir=str(exported))) as ready:
        (sliced,) = ready.predict(large)
        (whole,) = ready.predict(large, slice=False)
        (small,) = ready.predict(bright())
        (same,) = ready.predict(bright(), slice=False)
    assert sliced.found.provenance.counts.tiles > 1
    assert whole.found.provenance.counts.tiles == 1
    assert boxes_of(sliced) == [[300, 300, 303, 303]]
    assert dict(small)["boxes"] == dict(same)["boxes"]
    assert small.found.provenance.counts.tiles == 1


@pytest.mark.parametrize("size", [(600, 400), (90, 1000), (20, 500), (SIDE, SIDE)])
def test_a_whole_image_is_resized_to_the_models_input(exported, size):
    width, height = size
    box = (width // 2, height // 2, width // 2 + width // 4, height // 2 + height // 4)
    with create_pipeline(config=blobs(model_dir=str(exported))) as ready:
        (whole,) = ready.predict(bright(width, height, box), slice=False)
    assert whole.found.provenance.counts.tiles == 1
    (found,) = (one["coordinate"] for one in whole["boxes"])
    per_pixel = max(width, height) / SIDE
    assert np.abs(np.array(found) - box).max() <= 1.5 * max(1, per_pixel)


# Pipelines


def test_a_pipeline_comes_from_a_yaml_in_both_forms(tmp_path, exported):
    new, old = tmp_path / "new.yaml", tmp_path / "old.yml"
    new.write_text(yaml.safe_dump(blobs(model_dir=str(exported), threshold=0.3)))
    old.write_text(yaml.safe_dump({"Pipeline": {"model": str(exported), "batch_size": 1, "device": "cpu"}}))
    for file in (new, old):
        with create_pipeline(pipeline=str(file), use_hpip=False, enable_hpi=True) as ready:
            assert isinstance(ready, SmallObjectDetectionPipeline)
            assert ready.class_names == ("bright",)
            assert len(next(ready(bright()))["boxes"]) == 1


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ({}, "create_pipeline needs a name or a YAML"),
        ({"pipeline": "object_detection"}, "there is no pipeline 'object_detection'"),
        ({"pipeline": "./nowhere.yaml"}, "nowhere.yaml cannot be read"),
        ({"pipeline": "run.yaml"}, "run.yaml is no pipeline of PaddleX"),
        ({"config": blobs(), "options": {"tiel": 3}}, "tiel"),
    ],
)
def test_what_is_no_pipeline_is_refused(tmp_path, monkeypatch, words, error):
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text("tile: 640\n")
    with pytest.raises(OptionError, match=error):
        create_pipeline(**words)


def test_an_official_model_that_is_not_here_says_how_to_bring_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="PP-YOLOE_plus_SOD-L is not on this machine"):
        create_pipeline(pipeline="small_object_detection")
