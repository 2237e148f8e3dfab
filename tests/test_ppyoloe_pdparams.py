import builtins
import importlib
import os
import pickle
import struct
import tracemalloc
import warnings
from collections import OrderedDict

import numpy as np
import paddle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from sodslice.errors import ModelError
from sodslice.ppyoloe.config import network_config
from sodslice.ppyoloe.network import build_network
from sodslice.ppyoloe.pdparams import read_pdparams

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
names = st.text(min_size=1, max_size=20)
numeric = st.one_of(
    arrays_of.floating_dtypes(sizes=(16, 32, 64), endianness="?"),
    arrays_of.integer_dtypes(endianness="?"),
    arrays_of.boolean_dtypes(),
)
tables = st.dictionaries(
    names,
    arrays_of.arrays(numeric, arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)),
    min_size=1,
    max_size=4,
)


def read(content, folder):
    path = folder / "weights.pdparams"
    path.write_bytes(content)
    return read_pdparams(path)


def program(*instructions):
    """A pickle of protocol 4 out of single instructions."""
    return b"".join([pickle.PROTO, b"\x04", *instructions, pickle.STOP])


def text(word):
    return pickle.SHORT_BINUNICODE + bytes([len(word)]) + word.encode()


def call(module, name, *arguments):
    return b"".join(
        [text(module), text(name), pickle.STACK_GLOBAL, pickle.MARK, *arguments, pickle.TUPLE, pickle.REDUCE]
    )


@FEW
@given(tables, st.sampled_from([2, 3, 4, 5]), st.sampled_from("CF"))
def test_tables_of_arrays_read_as_pickle_would(tmp_path, table, protocol, order):
    table = {name: np.asarray(array, order=order) for name, array in table.items()}
    found = read(pickle.dumps(table, protocol), tmp_path)
    assert set(found) == set(table)
    for name, array in table.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_paddle_saves_is_read(tmp_path, protocol):
    state = build_network(network_config("T")).state_dict()
    path = tmp_path / "t.pdparams"
    paddle.save(state, str(path), protocol=protocol)
    found = read_pdparams(path)
    assert list(found) == list(state)
    assert all(np.array_equal(found[name], tensor.numpy()) for name, tensor in state.items())


def test_paddles_tuples_name_table_and_ordered_dicts_are_understood(tmp_path):
    class Tensor:
        def __reduce__(self):
            return tuple, (("linear_0.w_0", np.ones((2, 3), np.float32)),)

    table = OrderedDict({"fc.weight": Tensor(), "StructuredToParameterName@@": {"fc.weight": "linear_0.w_0"}})
    found = read(pickle.dumps(table, 4), tmp_path)
    np.testing.assert_array_equal(found["fc.weight"], np.ones((2, 3)))
    assert list(found) == ["fc.weight"]


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, "posix.system"),
        (eval, "eval"),
        (exec, "exec"),
        (importlib.import_module, "importlib.import_module"),
        (builtins.getattr, "getattr"),
        (np.load, "numpy.load"),
        (bytearray, "bytearray"),
    ],
)
def test_a_call_is_refused_in_one_line_and_nothing_runs(tmp_path, protocol, function, name):
    mark = tmp_path / "mark"
    command = f"touch {mark}" if function is os.system else f"open({str(mark)!r}, 'w')"
    content = pickle.dumps({"weight": Calls(function, command)}, protocol)
    with pytest.raises(ModelError) as refusal:
        read(content, tmp_path)
    told, _, wanted = str(refusal.value).rpartition(" ")
    assert told.endswith("was not loaded, and nothing in it was run: it wants to call")
    assert wanted.endswith(name)
    assert "\n" not in str(refusal.value)
    assert not mark.exists()


def test_paddles_own_eval_for_dense_tensors_is_refused_too(tmp_path):
    content = pickle.dumps({"weight": Calls(eval, "data", {"data": np.ones(3)})}, 4)
    with pytest.raises(ModelError, match=r"it wants to call (builtins|__builtin__)\.eval$"):
        read(content, tmp_path)


HUGE = {
    "bytes that are not there": program(pickle.BINBYTES8, struct.pack("<Q", 1 << 40), b"few"),
    "text that is not there": program(pickle.BINUNICODE8, struct.pack("<Q", 1 << 40), b"few"),
    "a frame that is not there": program(pickle.FRAME, struct.pack("<Q", 1 << 40), b"few"),
    "a memo far out": program(pickle.EMPTY_DICT, pickle.LONG_BINPUT, struct.pack("<I", 2**32 - 1)),
    "an empty array of a terabyte": program(
        call(
            "numpy._core.multiarray",
            "_reconstruct",
            text("x"),
            pickle.LONG1,
            b"\x06" + (1 << 40).to_bytes(6, "little"),
        )
    ),
    "an array of more than its bytes": pickle.dumps({"w": np.zeros(4, np.float32)}, 4).replace(
        b"K\x04\x85", b"J\x00\x00\x00\x40\x85"
    ),
    "endless empty tables": program(pickle.EMPTY_DICT * 1_000_000),
    "one text encoded again and again": program(
        pickle.BINUNICODE + struct.pack("<I", 1 << 20) + b"x" * (1 << 20),
        pickle.MEMOIZE,
        call("_codecs", "encode", pickle.BINGET + b"\0", text("latin1")) * 1000,
    ),
    "a tuple of tuples as a key": program(
        pickle.EMPTY_DICT,
        pickle.EMPTY_TUPLE + pickle.MEMOIZE,
        *((pickle.BINGET + bytes([i])) * 2 + pickle.TUPLE2 + pickle.MEMOIZE for i in range(60)),
        pickle.NONE,
        pickle.SETITEM,
    ),
}


@pytest.mark.parametrize("trick", HUGE)
def test_a_huge_claim_is_refused_without_the_memory(tmp_path, trick):
    content = HUGE[trick]
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match=r"nothing in it was run|no intact|no arrays") as refusal:
            read(content, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(content) + (200 << 20)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps([np.ones(3)], 4), "holds a list where a table of arrays by name was expected"),
        (pickle.dumps({}, 4), "holds no arrays"),
        (pickle.dumps({"epoch": 3}, 4), "holds a int named 'epoch' where an array was expected"),
        (pickle.dumps({"w": np.array(["a"])}, 4), "it holds an array of type 'U1'"),
        (pickle.dumps({"w": np.array([None])}, 4), "it holds an array of type 'O8'"),
        (pickle.dumps({1: np.ones(3)}, 4), "it holds a table whose keys are not names"),
        (
            pickle.dumps({"w": {1, 2}}, 4),
            "it uses the pickle instruction EMPTY_SET, which arrays do not need",
        ),
        (pickle.dumps({"w": np.ones(3)}, 0), "it uses the pickle instruction DICT, which arrays do not need"),
        (b"", r"is no intact .pdparams file \(0 bytes\); download it again"),
        (b"<html>404</html>", r"is no intact .pdparams file \(16 bytes\)"),
        (b"PK\x03\x04" + b"\0" * 100, "is no intact .pdparams file"),
    ],
)
def test_anything_but_arrays_is_refused(tmp_path, content, words):
    with pytest.raises(ModelError, match=words):
        read(content, tmp_path)


@settings(FEW, max_examples=150)
@given(st.data())
def test_a_damaged_file_is_refused_or_read_but_never_more(tmp_path, data):
    table = {"conv.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.ones(2)}
    content = bytearray(pickle.dumps(table, data.draw(st.sampled_from([2, 4, 5]))))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pickletools warns of odd escapes in old-style text
        try:
            found = read(bytes(content), tmp_path)
        except ModelError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert all(isinstance(array, np.ndarray) for array in found.values())
