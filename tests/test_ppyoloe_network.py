import itertools

import numpy as np
import paddle
import pytest
from paddle import nn

from sodslice.errors import ModelError
from sodslice.ppyoloe.blocks import nearest_twice, repeat_twice
from sodslice.ppyoloe.config import STRIDES, network_config
from sodslice.ppyoloe.neck import SelfAttention, position_code
from sodslice.ppyoloe.network import build_network
from tests.ppyoloe_weights import TINY, TINY_ANY_SIZE, lively

OFFICIAL = {"S": (20.1, 26.7), "L": (86.6, 135.5), "largesize-L": (87.1, 1425.0)}


@pytest.fixture(scope="module", params=OFFICIAL)
def official(request):
    return build_network(network_config(request.param)), *OFFICIAL[request.param]


@pytest.mark.shared
def test_state_dict_has_upstreams_names_and_shapes(shared, official):
    network = official[0]
    lines = (shared / "model_keys" / f"{network.config.name}.keys.txt").read_text().splitlines()
    wanted = dict(line.split("\t") for line in lines)
    assert {key: str(list(tensor.shape)) for key, tensor in network.state_dict().items()} == wanted


def test_parameters_and_arithmetic_are_those_of_the_published_table(official):
    network, millions, gflop = official
    assert sum(int(np.prod(p.shape)) for p in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)
    counted = 2 * multiply_adds(network, network.config.input_size) / 1e9
    assert counted == pytest.approx(gflop, rel=0.01)


def multiply_adds(network, side, *, trial=64):
    """Multiply-adds for one square image after fusing, counted on a small one.

    Counted are convolutions, linear layers and attention; the 1x1 branches of RepVGG vanish in the fusing.
    """
    total = 0
    area = (side // trial) ** 2

    def count(layer, inputs, output):
        nonlocal total
        if isinstance(layer, nn.Conv2D):
            pixels = output.shape[2] * output.shape[3]
            total += int(layer.weight.size) * pixels * (area if pixels > 1 else 1)
        elif isinstance(layer, nn.Linear):
            total += int(layer.weight.size) * inputs[0].shape[1] * area
        else:
            tokens, channels = inputs[0].shape[1] * area, inputs[0].shape[2]
            total += 3 * tokens * channels**2 + 2 * tokens**2 * channels

    hooks = [
        layer.register_forward_post_hook(count)
        for name, layer in network.named_sublayers()
        if isinstance(layer, nn.Conv2D | nn.Linear | SelfAttention) and not name.endswith(".conv2.conv2.conv")
    ]
    network.eval()
    with paddle.no_grad():
        network(paddle.zeros([1, 3, trial, trial]))
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.shared
def test_small_model_answers_as_upstreams_own_code(shared):
    reference = np.load(shared / "parity" / "PP-YOLOE_plus_SOD-S.npz")
    network = lively(network_config("S"))
    images = np.random.default_rng(0).random((1, 3, 640, 640), dtype=np.float32)
    with paddle.no_grad():
        raw = network(paddle.to_tensor(images))
        boxes = network.decode(raw).numpy()
        scores = nn.functional.sigmoid(raw.logits).numpy().transpose(0, 2, 1)
    assert np.abs(boxes - reference["boxes"]).max() < 1e-3
    assert np.abs(scores - reference["scores"]).max() < 1e-5


def test_anchor_points_are_cell_centres_at_strides_32_16_8_row_by_row():
    raw = build_network(TINY)(paddle.zeros([1, 3, 64, 96]))
    wanted = [
        ((column + 0.5) * stride, (row + 0.5) * stride, stride)
        for stride in STRIDES
        for row, column in itertools.product(range(64 // stride), range(96 // stride))
    ]
    found = np.concatenate([raw.points.numpy(), raw.strides.numpy()], axis=1)
    np.testing.assert_array_equal(found, np.float32(wanted))


def test_fresh_network_scores_one_percent_and_boxes_of_five_strides_everywhere():
    network = build_network(TINY)
    raw = network(paddle.rand([2, 3, 64, 64]))
    np.testing.assert_allclose(nn.functional.sigmoid(raw.logits).numpy(), 0.01, rtol=1e-5)
    # All bins -2..7 are equally likely at first, so each distance is their mean, 2.5 strides.
    half = 2.5 * raw.strides.numpy()
    wanted = np.concatenate([raw.points.numpy() - half, raw.points.numpy() + half], axis=1)
    np.testing.assert_allclose(network.decode(raw).numpy(), np.stack([wanted] * 2), atol=1e-4)


def test_decoded_boxes_equal_the_plain_definition():
    network = lively(TINY_ANY_SIZE)
    raw = network(paddle.rand([2, 3, 32, 64]))
    logits = raw.distances.numpy().astype(np.float64).reshape(2, -1, 4, 10)
    chances = np.exp(logits) / np.exp(logits).sum(axis=3, keepdims=True)
    left, top, right, bottom = np.moveaxis((chances * np.arange(-2, 8)).sum(axis=3), 2, 0)
    x, y = raw.points.numpy().T
    stride = raw.strides.numpy()[:, 0]
    wanted = [x - left * stride, y - top * stride, x + right * stride, y + bottom * stride]
    np.testing.assert_allclose(network.decode(raw).numpy(), np.stack(wanted, axis=2), atol=1e-3)


@pytest.mark.parametrize("config", [TINY, TINY_ANY_SIZE])
def test_one_step_of_training_reaches_every_parameter_and_lowers_the_loss(config):
    paddle.seed(0)
    network = lively(config)
    network.train()
    learner = paddle.optimizer.SGD(0.01, parameters=network.parameters())
    images = paddle.rand([2, 3, 64, 64])
    losses = []
    for _ in range(2):
        raw = network(images)
        loss = nn.functional.softplus(raw.logits).mean() + (network.decode(raw) / 64).square().mean()
        loss.backward()
        without = [name for name, p in network.named_parameters() if p.grad is None and not p.stop_gradient]
        assert without == []
        learner.step()
        learner.clear_grad()
        losses.append(float(loss))
    assert losses[1] < losses[0]
    assert network.yolo_head.proj_conv.weight.stop_gradient


def test_rows_of_a_batch_do_not_depend_on_each_other():
    network = lively(TINY)
    images = paddle.rand([3, 3, 64, 64])
    together = network(images).logits.numpy()
    alone = np.concatenate([network(images[i : i + 1]).logits.numpy() for i in range(3)])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_images_of_other_sides_than_multiples_of_32_are_refused():
    with pytest.raises(ModelError, match=r"multiples of 32 pixels, got .*64, 100"):
        build_network(TINY)(paddle.zeros([1, 3, 64, 100]))


def test_fusing_changes_no_answer():
    network = lively(TINY)
    images = paddle.rand([1, 3, 64, 64])
    before = network(images)
    network.fuse()
    after = network(images)
    np.testing.assert_allclose(after.logits.numpy(), before.logits.numpy(), atol=1e-4)
    np.testing.assert_allclose(after.distances.numpy(), before.distances.numpy(), atol=1e-4)
    assert not [name for name in network.state_dict() if ".conv2.conv1." in name]


def test_both_upsamplings_double_each_pixel():
    x = paddle.to_tensor(np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3))
    wanted = x.numpy().repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_array_equal(repeat_twice(x).numpy(), wanted)
    np.testing.assert_array_equal(nearest_twice(x).numpy(), wanted)


def test_position_code_belongs_to_the_transposed_place():
    code = position_code(2, 3, 8)[0]
    # Token 1 is column 1 of row 0, but carries the code of column 0, row 1: [sin x, cos x, sin y, cos y].
    np.testing.assert_allclose(
        code[1], [0, 0, 1, 1, np.sin(1), np.sin(0.01), np.cos(1), np.cos(0.01)], atol=1e-6
    )
    np.testing.assert_allclose(code[2, :2], [np.sin(1), np.sin(0.01)], atol=1e-6)


def test_a_stored_position_code_gives_the_same_answers_and_stays_out_of_the_state_dict():
    network = lively(TINY)
    images = paddle.rand([1, 3, 64, 96])
    before = network(images).logits.numpy()
    names = list(network.state_dict())
    network.neck.encoder.fix_size(2, 3, TINY.backbone_channels[-1])
    np.testing.assert_array_equal(network(images).logits.numpy(), before)
    assert list(network.state_dict()) == names
