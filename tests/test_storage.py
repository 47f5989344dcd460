"""Files: checked when read, whole or not at all when written, never run."""

import hashlib
import io
import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest

from ednag_jax.storage import (
    DataError,
    cache_dir,
    check_file,
    data_dir,
    digest,
    read_npz,
    read_plain_pickle,
    require_writable,
    write_atomic,
)


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_write_replaces_whole_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    write_atomic(path, "old")
    write_atomic(path, b"new")
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["file.txt"]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = write_atomic(tmp_path / "file.txt", "old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_unwritable_folder_is_named_before_work_starts(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"output directory .*file/below.* cannot be written .*choose another"):
        require_writable(tmp_path / "file" / "below")


def test_settings_name_the_folders(monkeypatch, tmp_path):
    monkeypatch.setenv("EDNAG_DATA_DIR", str(tmp_path))
    assert data_dir() == tmp_path
    assert data_dir("/elsewhere") == Path("/elsewhere")
    monkeypatch.delenv("EDNAG_DATA_DIR")
    assert data_dir() is None
    monkeypatch.delenv("EDNAG_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "ednag-jax"


def test_digest_sees_values_types_and_shapes():
    a = np.arange(6)
    assert digest(a) == digest(a.copy())
    others = [a + 1, a.astype(np.int32), a.reshape(2, 3), a[::-1]]
    assert len({digest(a), *(digest(other) for other in others)}) == 5


def test_cut_and_altered_files_are_named(tmp_path):
    content = b"x" * 100
    sha = hashlib.sha256(content).hexdigest()
    path = tmp_path / "table.bin"
    with pytest.raises(DataError, match=r"table.bin.* is missing"):
        check_file(path, size=100, sha256=sha)
    path.write_bytes(content)
    assert check_file(path, size=100, sha256=sha) == content
    path.write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"table.bin.* has 99 bytes, expected 100; was it cut"):
        check_file(path, size=100, sha256=sha)
    path.write_bytes(b"y" * 100)
    with pytest.raises(DataError, match=r"table.bin.* does not match its SHA-256"):
        check_file(path, size=100, sha256=sha)


def test_npz_round_trips_and_damage_is_seen():
    content = npz(a=np.arange(1000), b=np.ones(3))
    assert set(read_npz(content, "t")) == {"a", "b"}
    flipped = bytearray(content)
    flipped[len(content) // 3] ^= 0xFF
    for broken in (content[: len(content) // 2], bytes(flipped), b"", b"not a zip"):
        with pytest.raises(DataError, match=r"'t' is no whole \.npz"):
            read_npz(broken, "t")


def test_npz_with_objects_is_refused():
    with pytest.raises(DataError, match=r"no whole [.]npz of plain arrays"):
        read_npz(npz(a=np.array([{}], dtype=object)), "t")


def test_plain_pickles_are_read():
    value = {"0": {"val_acc": [1.5, 2.5]}, "n": [1, None, "x", (2, True)]}
    assert read_plain_pickle(pickle.dumps(value)) == value


class Malicious:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return subprocess.getoutput, (self.command,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_that_would_run_code_are_refused_and_run_nothing(tmp_path, protocol):
    trace = tmp_path / "was-here"
    content = pickle.dumps({"fine": 1, "bad": Malicious(f"touch {trace}")}, protocol)
    with pytest.raises(DataError, match=r"pickle asks for (subprocess|commands).getoutput"):
        read_plain_pickle(content)
    assert not trace.exists()


def test_cut_pickles_are_refused():
    content = pickle.dumps({"a": list(range(100))})
    for cut in (b"", content[:5], content[: len(content) // 2], content[:-1]):
        with pytest.raises(DataError):
            read_plain_pickle(cut)
