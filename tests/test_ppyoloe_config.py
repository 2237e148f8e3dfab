import subprocess
import sys

import pytest

from sodslice.errors import ModelError
from sodslice.ppyoloe.config import ARCHITECTURES, VISDRONE_CLASSES, NetworkConfig, network_config


def test_short_and_full_names_give_the_same_architecture():
    assert (
        network_config("l") == network_config("PP-YOLOE_plus_SOD-L") == ARCHITECTURES["PP-YOLOE_plus_SOD-L"]
    )
    assert network_config("vehicle-t").name == "T"
    assert network_config("largesize-L").reg_range == (-2, 20)


def test_official_models_have_the_visdrone_classes():
    assert len(VISDRONE_CLASSES) == 10
    assert network_config("S").class_names == VISDRONE_CLASSES


def test_class_names_replace_the_architectures_own():
    config = network_config("S", class_names=("ship", "buoy"))
    assert (config.num_classes, config.class_names) == (2, ("ship", "buoy"))


def test_widths_and_depths_of_the_small_and_the_large_model():
    small, large = network_config("S"), network_config("L")
    assert small.backbone_channels == (32, 64, 128, 256, 512)
    assert large.backbone_channels == (64, 128, 256, 512, 1024)
    assert (small.backbone_blocks, large.backbone_blocks) == ((1, 2, 2, 1), (3, 6, 6, 3))
    assert (small.neck_channels, small.neck_blocks) == ((384, 192, 96), 1)
    assert (large.neck_channels, large.neck_blocks) == ((768, 384, 192), 3)


def test_an_unknown_architecture_is_told_what_exists():
    with pytest.raises(ModelError, match="unknown architecture 'XL'; known are PP-YOLOE_plus_SOD-S, .*, T$"):
        network_config("XL")


@pytest.mark.parametrize(
    ("names", "words"),
    [((), "needs at least one class name, got none"), (("car", "car"), "has the class name 'car' twice")],
)
def test_class_names_that_cannot_be_are_refused(names, words):
    with pytest.raises(ModelError, match=words):
        NetworkConfig("T", 0.25, 0.33, (-2, 8), None, None, names)


def test_the_configuration_does_not_load_paddle():
    code = "import sys, sodslice.ppyoloe.config; sys.exit('paddle' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
