from __future__ import annotations

import hashlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sodslice.inference.blobs import BlobDetector
from sodslice.system.hashes import sha256_of, sha256_of_bytes, sha256_of_facts


def test_the_hash_of_nothing_is_the_one_that_everybody_knows():
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256_of() == sha256_of_bytes() == sha256_of_bytes(b"") == empty


def test_files_are_hashed_one_after_the_other_as_one(tmp_path):
    contents = [b"a" * ((1 << 20) + 7), b"", b"b"]
    paths = [tmp_path / str(number) for number in range(3)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    assert sha256_of(*paths) == hashlib.sha256(b"".join(contents)).hexdigest()
    assert sha256_of(*paths) == sha256_of_bytes(*contents)
    assert sha256_of(*paths) != sha256_of(*reversed(paths))


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        sha256_of(tmp_path / "none")


plain = st.none() | st.integers(-(2**53), 2**53) | st.text()
facts = st.dictionaries(st.text(), plain | st.lists(plain) | st.dictionaries(st.text(), plain))


@given(facts, st.randoms(use_true_random=False))
def test_the_order_of_names_does_not_count(facts, dice):
    names = list(facts)
    dice.shuffle(names)
    assert sha256_of_facts({name: facts[name] for name in names}) == sha256_of_facts(facts)


@given(facts, facts)
def test_other_facts_have_another_hash(one, other):
    assert (sha256_of_facts(one) == sha256_of_facts(other)) == (one == other)


def test_facts_are_hashed_as_json_with_sorted_names():
    assert sha256_of_facts({"b": [1, 2.5], "a": "é"}) == sha256_of_bytes('{"a":"é","b":[1,2.5]}'.encode())
    assert sha256_of_facts({"a": (1, 2)}) == sha256_of_facts({"a": [1, 2]})
    assert sha256_of_facts({"a": 1}) != sha256_of_facts({"a": 1.0})
    assert sha256_of_facts({"a": math.nan}) == sha256_of_facts({"a": None})


def test_facts_that_json_cannot_say_are_refused():
    with pytest.raises(TypeError):
        sha256_of_facts({"a": object()})


def test_the_blob_detector_keeps_the_hash_that_results_carry():
    expected = hashlib.sha256(b"blobs 200 1").hexdigest()
    assert BlobDetector().info.sha256 == expected
