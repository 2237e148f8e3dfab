"""Archives of models, and such as nobody should unpack."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

YML = b"Preprocess: [{type: Permute}]\nlabel_list: [bright]\nGlobal: {model_name: mine}\n"
FILES = {"inference.yml": YML, "inference.onnx": b"graph"}
"""What makes a folder a model, as far as it can be told without running it."""

FOLDER = "mine_infer"


def member(name: str, content: bytes = b"", **facts: object) -> tuple[tarfile.TarInfo, bytes]:
    """A file of an archive; facts such as `type` make it something else."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info, content


def model_members(folder: str = FOLDER) -> list[tuple[tarfile.TarInfo, bytes]]:
    return [member(f"{folder}/{name}" if folder else name, content) for name, content in FILES.items()]


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes], how: str = "w") -> Path:
    """An archive of some members, in their order."""
    with tarfile.open(path, how) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content) if content else None)
    return path


def tar_of_folder(path: Path, folder: Path, *, name: str = FOLDER) -> Path:
    """An archive of a folder, as official ones are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        tar.add(folder, arcname=name)
    return path


def bad_members() -> dict[str, tuple[tuple[tarfile.TarInfo, bytes], str]]:
    """By what it is, a member that refuses an archive, and what is said of it."""
    large = 5 << 30
    return {
        "parent": (member("../evil", b"x"), "'../evil' leads out of the folder"),
        "hidden parent": (member("a/../../evil", b"x"), "'a/../../evil' leads out of the folder"),
        "parent of Windows": (member("a\\..\\..\\evil", b"x"), r"leads out of the folder"),
        "absolute": (member("/tmp/evil", b"x"), "'/tmp/evil' is an absolute path"),
        "drive": (member("C:\\evil", b"x"), "is an absolute path"),
        "symlink": (
            member("a/link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
            "'a/link' is a link to '/etc/passwd'",
        ),
        "hard link": (
            member("a/hard", type=tarfile.LNKTYPE, linkname="../../x"),
            "'a/hard' is a link to '../../x'",
        ),
        "character device": (member("a/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "is a device"),
        "block device": (member("a/sda", type=tarfile.BLKTYPE), "'a/sda' is a device"),
        "pipe": (member("a/pipe", type=tarfile.FIFOTYPE), "'a/pipe' is a device"),
        "unknown": (member("a/what", type=b"Q", size=0), "'a/what' is neither a file nor a folder"),
        "bomb": (member("a/zeros", size=large), "its files would take more than 4096 MiB"),
    }
