from __future__ import annotations

import gzip
import os
import tarfile
from contextlib import suppress

import pytest

from sodslice.errors import ModelError
from sodslice.models import archives
from sodslice.models.archives import unpack_model
from tests.tars import FILES, FOLDER, bad_members, member, model_members, tar_of

BAD = bad_members()


@pytest.fixture
def unpack(tmp_path):
    """Unpack an archive into a folder of its own; what lies there then, by name."""
    inside = tmp_path / "store" / "inside"
    inside.mkdir(parents=True)

    def call(archive):
        unpack_model(archive, inside)
        return {path.name: path.read_bytes() for path in inside.iterdir()}

    return call


def everything(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("folder", [FOLDER, "", "./a/b", "."])
def test_the_files_of_the_one_model_come_out_wherever_they_are(folder, unpack, tmp_path):
    assert unpack(tar_of(tmp_path / "m.tar", *model_members(folder))) == FILES


def test_what_no_model_needs_stays_in_the_archive(unpack, tmp_path):
    more = [
        member(FOLDER, type=tarfile.DIRTYPE),
        member(f"{FOLDER}/README.md", b"x"),
        member(f"{FOLDER}/inference.sh", b"x"),
        member(f"{FOLDER}/._inference.yml", b"x"),
        member(f"{FOLDER}/translation/inference.onnx", b"x"),
        member("inference.json", b"x"),
    ]
    assert unpack(tar_of(tmp_path / "m.tar", *more, *model_members())) == FILES


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_a_bad_member_refuses_the_whole_archive(kind, first, unpack, tmp_path):
    bad, words = BAD[kind]
    members = [bad, *model_members()] if first else [*model_members(), bad]
    archive = tar_of(tmp_path / "m.tar", *members)
    before = everything(tmp_path)
    with pytest.raises(ModelError) as error:
        unpack(archive)
    assert words in str(error.value)
    assert str(error.value).startswith(f"{archive} is not unpacked: ")
    assert everything(tmp_path) == before


def test_a_file_with_holes_is_refused(unpack, tmp_path):
    name = f"{FOLDER}/inference.pdiparams"
    info = member(name)[0]
    info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "0,0",
                        "GNU.sparse.size": str(1 << 40)}  # fmt: skip
    archive = tar_of(tmp_path / "m.tar", *model_members(), (info, b""))
    with pytest.raises(ModelError, match=f"is a file with holes, which says that it has {1 << 40} bytes"):
        unpack(archive)


def test_too_many_members_are_refused(unpack, tmp_path):
    many = [member(f"{number}") for number in range(archives.MOST_MEMBERS)]
    with pytest.raises(ModelError, match="holds more than 1000 files"):
        unpack(tar_of(tmp_path / "m.tar", *many, *model_members()))


def test_many_files_that_are_too_much_together_are_refused(unpack, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_BYTES", 3 << 20)
    parts = [member(f"{number}", bytes(1 << 20)) for number in range(4)]
    with pytest.raises(ModelError, match="its files would take more than 3 MiB"):
        unpack(tar_of(tmp_path / "m.tar", *parts, *model_members()))


def test_a_header_that_would_fill_the_memory_is_not_read(unpack, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LONGEST_READ", 1 << 20)
    long = member("x" * (2 << 20), b"x")
    with pytest.raises(ModelError, match="a header says that it has 20[0-9]+ bytes"):
        unpack(tar_of(tmp_path / "m.tar", long, *model_members()))


@pytest.mark.parametrize(
    ("make", "kind"), [(lambda content: gzip.compress(content), "gzip"), (lambda _: b"PK\3\4...", "zip")]
)
def test_a_compressed_archive_is_refused_with_what_to_do(make, kind, unpack, tmp_path):
    archive = tar_of(tmp_path / "m.tar", *model_members())
    archive.write_bytes(make(archive.read_bytes()))
    with pytest.raises(ModelError) as error:
        unpack(archive)
    assert str(error.value) == (
        f"{archive} is compressed ({kind}); unpack it, and give the folder that comes out"
    )


@pytest.mark.parametrize("left", [0, 1, 100, 511, 512, 600, 1100])
def test_an_archive_that_ends_early_is_never_a_model(left, unpack, tmp_path):
    archive = tar_of(
        tmp_path / "m.tar", member(f"{FOLDER}/inference.onnx", os.urandom(3000)), *model_members()[:1]
    )
    os.truncate(archive, left)
    with pytest.raises(ModelError, match="is no intact tar archive|holds no exported model"):
        unpack(archive)


def test_rubbish_is_no_archive(unpack, tmp_path):
    archive = tmp_path / "m.tar"
    archive.write_bytes(b"<html>not found</html>" * 100)
    with pytest.raises(ModelError, match=r"is no intact tar archive: .*; fetch it again"):
        unpack(archive)


def test_a_header_with_any_byte_changed_gives_a_model_or_our_error(tmp_path):
    archive = tar_of(tmp_path / "m.tar", *model_members())
    content = archive.read_bytes()
    for place in range(512):
        for value in (0, 255, 128):
            archive.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
            folder = tmp_path / f"{place}-{value}"
            folder.mkdir()
            with suppress(ModelError):
                unpack_model(archive, folder)
                assert {path.name for path in folder.iterdir()} <= set(FILES)
    assert all(path == archive or path.name[0].isdigit() for path in tmp_path.iterdir())


def test_one_model_is_wanted_and_each_file_once(unpack, tmp_path):
    with pytest.raises(
        ModelError, match=r"holds no exported model; wanted is one folder with inference.yml or"
    ):
        unpack(tar_of(tmp_path / "m.tar", member("a/readme", b"x")))
    with pytest.raises(ModelError, match="holds models in 'a', 'b'; wanted is one folder"):
        unpack(tar_of(tmp_path / "m.tar", *model_members("a"), *model_members("b")))
    with pytest.raises(ModelError, match="holds 'mine_infer/inference.yml' twice"):
        unpack(tar_of(tmp_path / "m.tar", *model_members(), *model_members()))


def test_a_file_is_the_same_however_its_folder_is_written(unpack, tmp_path):
    twice = model_members("m") + model_members("./m")[:1]
    with pytest.raises(ModelError, match="holds 'm/inference.yml' twice"):
        unpack(tar_of(tmp_path / "m.tar", *twice))


def test_a_name_of_an_archive_cannot_break_a_message(unpack, tmp_path):
    with pytest.raises(ModelError, match=r"holds models in 'a\\nb', 'c'; wanted"):
        unpack(tar_of(tmp_path / "m.tar", *model_members("a\nb"), *model_members("c")))


@pytest.mark.parametrize("folder", ["PKLot", "BZ", "BZh"])
def test_a_folder_may_be_called_as_compressed_files_begin(folder, unpack, tmp_path):
    assert unpack(tar_of(tmp_path / "m.tar", *model_members(folder))) == FILES


def test_remarks_that_would_be_copied_for_each_file_are_refused(unpack, tmp_path):
    archive = tmp_path / "m.tar"
    remarks = {f"k{number:04}": "1" for number in range(archives.MOST_REMARKS)}
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT, pax_headers=remarks) as tar:
        for info, _ in [member("a"), member("b")]:
            info.pax_headers = {"comment": "x"}
            tar.addfile(info)
    with pytest.raises(ModelError, match="'a' has more than 100 remarks in its header"):
        unpack(archive)


def test_a_header_of_more_than_some_kibibytes_is_not_read(unpack, tmp_path):
    with pytest.raises(ModelError, match="a header says that it has 100352 bytes"):
        unpack(tar_of(tmp_path / "m.tar", member("x" * 100_000), *model_members()))
