"""Reading data files."""

import copy
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gradmc.config import bombs
from gradmc.config.data_files import load_data, read_file
from gradmc.errors import DataError


def test_every_format_gives_the_same(tmp_path: Path) -> None:
    y, n, name = np.array([1.5, -2.0, 3.0]), np.array([1, 2, 3]), ["a", "b", "c"]
    (tmp_path / "d.json").write_text(json.dumps({"y": y.tolist(), "n": n.tolist(), "name": name}))
    (tmp_path / "d.csv").write_text("y,n,name\n1.5,1,a\n-2.0,2,b\n3,3,c\n")
    np.savez(tmp_path / "d.npz", y=y, n=n, name=np.array(name))
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"y": y, "n": n, "name": name}), tmp_path / "d.parquet")
    for suffix in ("json", "csv", "npz", "parquet"):
        data = load_data({"file": str(tmp_path / f"d.{suffix}")})
        assert list(data) == ["y", "n", "name"]
        assert data["y"].tolist() == y.tolist()
        assert (data["y"].dtype.kind, data["n"].dtype.kind) == ("f", "i")
        assert data["n"].tolist() == n.tolist()
        assert data["name"].tolist() == name


def test_single_entries(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_text('{"a": [[1, 2], [3, 4]], "b": 2, "c": {"deep": 1}, "d": "text"}')
    table = {"file": str(path), "b": 5, "z": {"file": str(path), "key": "a"}, "flag": True}
    data = load_data(table)
    assert data["z"].tolist() == [[1, 2], [3, 4]]
    assert (data["b"], data["c"], data["d"], data["flag"]) == (5, {"deep": 1}, "text", True)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.json", "[1]", "holds a list, expected an object"),
        ("d.json", "{", "check that it is a whole .json file"),
        ("d.json", '{"y": [1, [2]]}', r"data.y in .*rows of equal length"),
        ("d.json", '{"y": [1, null]}', "missing values"),
        ("d.json", '{"y": [1], "y": [2]}', "two entries of the name 'y'"),
        ("d.csv", "", "is empty, expected a header"),
        ("d.csv", "y,y\n1,2\n", "two columns of the same name"),
        ("d.csv", "y,z\n1\n", "row 2: 1 entries, expected 2"),
        ("d.csv", "y\n1\n\n2\nNA\n", r"row 4 of column y is 'NA', the other rows are numbers"),
        ("d.npz", "x", "cannot read .*d.npz"),
        ("d.parquet", "x", "cannot read .*d.parquet"),
    ],
)
def test_messages(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        load_data({"y": {"file": str(tmp_path / name)}})


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("effect,error\n1,2\n")
    with pytest.raises(DataError, match=r"data.y: no 'efect' in .*d.csv; did you mean effect\?"):
        load_data({"y": {"file": str(tmp_path / "d.csv"), "column": "efect"}})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("deep.json", b'{"y": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "it is nested too deeply"),
        ("torn.csv", b'y,t\n1.0,"a\n', "unexpected end of data"),
        ("utf16.json", '{"y": [1]}'.encode("utf-16"), "check that it is a whole .json file"),
        ("digits.json", b'{"y": [' + b"9" * 5000 + b"]}", "check that it is a whole .json file"),
    ],
    ids=["deep", "torn", "utf16", "digits"],
)
def test_files_that_no_reader_takes(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_file(tmp_path / name, {})


def test_a_byte_order_mark_and_long_fields(tmp_path: Path) -> None:
    (tmp_path / "y.json").write_text('{"y": [1.0, 2.0]}', encoding="utf-8-sig")
    assert read_file(tmp_path / "y.json", {})["y"].tolist() == [1.0, 2.0]
    (tmp_path / "y.csv").write_text(f"y,text\n1.5,{'x' * 300_000}\n", encoding="utf-8-sig")
    content = read_file(tmp_path / "y.csv", {})
    assert content["y"].tolist() == [1.5]
    assert len(content["text"][0]) == 300_000


def test_an_archive_that_would_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    deflated = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with deflated as archive, archive.open("y.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (2**25,)})
        for _ in range(2**8):
            file.write(bytes(2**20))
    with pytest.raises(DataError, match="would unpack to 268,43"):
        read_file(path, {})


def test_members_that_share_their_bytes_do_not_count_as_large(tmp_path: Path) -> None:
    """The directory of the archive names one member of 1 MB often; added up, the packed sizes would excuse it."""
    path = tmp_path / "shared.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("y.npy", "w") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (2**17,)})
            file.write(np.random.default_rng(1).integers(0, 2, 2**20).astype(np.uint8).tobytes())
        (member,) = archive.filelist
        for k in range(400):
            archive.filelist.append(other := copy.copy(member))
            other.filename = f"y{k}.npy"
        archive._didModify = True
    assert path.stat().st_size < 2**18
    with pytest.raises(DataError, match="would unpack to 420,53"):
        read_file(path, {})


def test_a_file_that_takes_more_than_the_memory_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "y.npz", y=np.zeros(1000))
    monkeypatch.setattr(bombs, "memory", lambda: 8000)
    with pytest.raises(DataError, match="would unpack to 8,128 bytes, more than the memory of this machine"):
        read_file(tmp_path / "y.npz", {})


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_texts_of_which_one_is_long(tmp_path: Path, suffix: str) -> None:
    """As an array each text takes the room of the longest: 2,000 x 40,000 x 4 bytes."""
    path, texts = tmp_path / f"d.{suffix}", ["a"] * 1999 + ["x" * 40_000]
    path.write_text("y\n" + "\n".join(texts) if suffix == "csv" else json.dumps({"y": texts}))
    with pytest.raises(DataError, match="would unpack to 320,000,000 bytes"):
        read_file(path, {})


@pytest.mark.parametrize("told", ["the metadata", "the batches"])
def test_a_table_that_would_fill_the_memory(tmp_path: Path, told: str) -> None:
    """A dictionary names a text once, however often the column has it; and runs of one number take no room."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    if told == "the metadata":
        column = arrow.array(np.zeros(2**26, bool))
    else:
        column = arrow.DictionaryArray.from_arrays(np.zeros(10_000, np.int8), arrow.array(["x" * 30_000]))
    parquet.write_table(arrow.table({"y": column}), tmp_path / "d.parquet")
    assert (tmp_path / "d.parquet").stat().st_size < 2**20
    with pytest.raises(DataError, match=r"would unpack to [0-9]{3},[0-9]{3},[0-9]{3} bytes, [0-9]+ times its size"):
        read_file(tmp_path / "d.parquet", {})


def test_an_array_whose_shape_is_larger_than_its_content(tmp_path: Path) -> None:
    path = tmp_path / "shape.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("y.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (2**50,)})
    with pytest.raises(DataError, match=r"an array of shape \(1125899906842624,\) does not fit"):
        read_file(path, {})


def test_pickled_data_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", y=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="allow_pickle"):
        read_file(tmp_path / "objects.npz", {})


def test_extra_entries_of_a_file_are_left_out_on_request(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text('{"y": [1.0], "N": 1, "K": 2}')
    table = {"file": str(tmp_path / "d.json"), "extra": "ignore", "mu0": 0.5}
    assert set(load_data(table, {"y"})) == {"y", "mu0"}  # what stands in the configuration itself is not extra
    assert set(load_data({**table, "extra": "refuse"}, {"y"})) == {"y", "N", "K", "mu0"}
    assert set(load_data(table)) == {"y", "N", "K", "mu0"}
    assert load_data({"extra": 3.0}, {"extra"}) == {"extra": 3.0}  # a model may have a datum of that name
