"""PaddleX's pipeline YAML as settings of a run."""

from __future__ import annotations

import pytest
import yaml

from sodslice.errors import OptionError
from sodslice.settings import Options, load_options, pipeline_settings, pipeline_yaml
from sodslice.settings.paddlex import check_name, is_pipeline


def module(**values):
    inner = {"module_name": "small_object_detection", "model_name": "PP-YOLOE_plus_SOD-S", **values}
    return {"pipeline_name": "small_object_detection", "SubModules": {"SmallObjectDetection": inner}}


def settings(values):
    return pipeline_settings(values, where="a.yaml")


def test_the_form_of_paddlex_3_is_read():
    values = module(model_dir=None, batch_size=4, threshold=0.4)
    assert settings(values) == {"model": "PP-YOLOE_plus_SOD-S", "batch": 4, "threshold": 0.4}


def test_the_form_before_it_is_read():
    inner = {"model": "PP-YOLOE_plus_SOD-L", "batch_size": 2, "device": "gpu:0"}
    old = {"Global": {"pipeline_name": "small_object_detection", "input": "a.jpg"}, "Pipeline": inner}
    wanted = {"model": "PP-YOLOE_plus_SOD-L", "batch": 2, "device": "gpu:0"}
    assert settings(old) == wanted
    assert settings({"Pipeline": inner}) == wanted


def test_a_folder_goes_before_a_name_and_one_image_a_call_leaves_the_batch_to_us():
    assert settings(module(model_dir="my/model", batch_size=1)) == {"model": "my/model"}


def test_a_threshold_by_class_id_has_half_for_all_others():
    options = Options.from_mapping(settings(module(threshold={0: 0.45, 2: 1})))
    names = ("a", "b", "c", "d")
    assert options.keeping.score_thresholds(names, 0.3) == (0.45, 0.5, 1.0, 0.5)


@pytest.mark.parametrize("threshold", [0, 1, 0.0])
def test_a_whole_threshold_counts(threshold):
    options = Options.from_mapping(settings(module(threshold=threshold)))
    assert options.keeping.score_thresholds(("a",), 0.3) == (float(threshold),)


def test_a_threshold_by_id_and_by_name_is_one_too_many():
    options = Options.from_mapping({"threshold": {"1": 0.4, "b": 0.5}})
    with pytest.raises(OptionError, match="`threshold` names the class 'b' twice, once by its id; keep one"):
        options.keeping.score_thresholds(("a", "b"), 0.3)
    with pytest.raises(OptionError, match="`threshold` names the class '1'; the model knows a"):
        Options.from_mapping({"threshold": {"1": 0.4}}).keeping.score_thresholds(("a",), 0.3)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"pipeline_name": "OCR"},
            "a.yaml is of the pipeline 'OCR', and sodslice is one for small_object_detec",
        ),
        ({"Global": {"pipeline_name": "OCR"}, "Pipeline": {}}, "is of the pipeline 'OCR'"),
        (
            module(thresh=0.5),
            r"SmallObjectDetection, has the key 'thresh' \(did you mean 'threshold'\?\)",
        ),
        (
            module(hpi_config={"backend": "tensorrt"}),
            "has hpi_config, in words of PaddleX's own; leave it out",
        ),
        ({**module(), "extra": 1}, "a.yaml has the key 'extra'; known are pipeline_name, SubModules"),
        (
            {"SubModules": {"ObjectDetection": {}}},
            r"SubModules, has the key 'ObjectDetection' \(did you mean",
        ),
        ({"SubModules": [1]}, "a.yaml: SubModules must hold keys and values, got list"),
        ({"Pipeline": {"model": "a", "kernel": 1}}, "a.yaml, Pipeline, has the key 'kernel'"),
    ],
)
def test_what_cannot_be_followed_is_refused(values, words):
    with pytest.raises(OptionError, match=words):
        settings(values)


def test_what_changes_no_result_is_passed_over():
    values = {**module(use_hpip=True), "use_hpip": False, "Serving": {"visualize": True}, "engine": None}
    assert settings(values) == {"model": "PP-YOLOE_plus_SOD-S"}


@pytest.mark.parametrize("given", [None, {"tile": 640}, {"run": {}}, [1]])
def test_settings_of_a_run_are_no_pipeline(given):
    assert not is_pipeline(given)


def test_what_is_written_is_read_back(tmp_path):
    file = tmp_path / "small_object_detection.yaml"
    file.write_text(pipeline_yaml())
    assert load_options(file) == Options.from_mapping({"model": "PP-YOLOE_plus_SOD-L", "threshold": 0.5})
    parsed = yaml.safe_load(pipeline_yaml())
    assert parsed == {
        "pipeline_name": "small_object_detection",
        "SubModules": {
            "SmallObjectDetection": {
                "module_name": "small_object_detection",
                "model_name": "PP-YOLOE_plus_SOD-L",
                "model_dir": None,
                "batch_size": 1,
                "threshold": 0.5,
            }
        },
    }


@pytest.mark.parametrize("model", ["vehicle-t", "PP-YOLOE_plus_SOD-S", "my/folder: odd # name"])
def test_settings_of_a_run_become_a_pipeline(tmp_path, model):
    options = Options.from_mapping({"model": model, "threshold": 0.25, "batch": 4, "tile": 640})
    file = tmp_path / "p.yaml"
    file.write_text(pipeline_yaml(options.as_dict()))
    assert load_options(file) == Options.from_mapping({"model": model, "threshold": 0.25, "batch": 4})


def test_thresholds_by_class_name_have_no_words_in_a_pipeline():
    with pytest.raises(OptionError, match="`threshold` names 'car'; give ids, or one number"):
        pipeline_yaml(Options.from_mapping({"threshold": {"all": 0.5, "car": 0.4}}).as_dict())
    with pytest.raises(OptionError, match="has 0.5 for classes that `threshold` does not name"):
        pipeline_yaml(Options.from_mapping({"threshold": {"all": 0.2, "0": 0.4}}).as_dict())


def test_thresholds_by_class_id_are_written_as_they_are_read(tmp_path):
    options = Options.from_mapping(settings(module(threshold={0: 0.45, 2: 1})))
    file = tmp_path / "p.yaml"
    file.write_text(pipeline_yaml(options.as_dict()))
    written = yaml.safe_load(file.read_text())["SubModules"]["SmallObjectDetection"]["threshold"]
    assert written == {0: 0.45, 2: 1.0}
    assert load_options(file) == options


@pytest.mark.parametrize("given", ["x.yaml", [], 3])
def test_what_holds_no_keys_is_refused(given):
    with pytest.raises(OptionError, match="a.yaml must hold keys and values"):
        settings(given)


def test_another_pipelines_name_is_refused():
    with pytest.raises(
        OptionError, match=r"no pipeline 'small_objet_detection' \(did you mean 'small_object"
    ):
        check_name("small_objet_detection")
