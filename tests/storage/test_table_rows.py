import pytest

from limner.core.errors import DataError
from limner.storage.file_contents import file_content
from limner.storage.table_rows import image_table

pyarrow = pytest.importorskip("pyarrow")


def write(path, columns):
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), path, row_group_size=4)
    return path


@pytest.mark.parametrize("is_struct", [False, True])
def test_rows_of_bytes_in_any_order(tmp_path, is_struct):
    images = [bytes([n]) * 10 for n in range(11)]
    cells = [{"bytes": one, "path": "x.png"} for one in images] if is_struct else images
    path = write(tmp_path / "a.parquet", {"label": list(range(11)), "image": cells})
    names = list(image_table(path).members())
    assert names == [f"{path}/{n:02d}" for n in range(11)]
    for n in (10, 3, 4, 0):
        assert file_content(path / f"{n:02d}") == images[n]
    with pytest.raises(DataError, match=r"(?s)a\.parquet.*no row 11 among 11"):
        file_content(path / "11")


def test_paths_are_beside_the_table_and_addresses_stay(tmp_path):
    path = write(tmp_path / "a.parquet", {"file_name": ["b/1.png", "s3://bucket/2.png"], "class": [0, 1]})
    assert list(image_table(path).members()) == [f"{tmp_path}/b/1.png", "s3://bucket/2.png"]


@pytest.mark.parametrize("columns", [{"a": [1]}, {"a": [b"x"], "b": [b"y"]}])
def test_a_table_without_a_column_of_images_says_what_it_has(tmp_path, columns):
    path = write(tmp_path / "a.parquet", columns)
    with pytest.raises(DataError, match=f"(?s)no column of images.*columns {', '.join(columns)}"):
        image_table(path)


def test_a_damaged_table_and_an_empty_cell_are_named(tmp_path):
    path = write(tmp_path / "a.parquet", {"image": [b"x", None]})
    with pytest.raises(DataError, match="row 1 has no image"):
        file_content(path / "1")
    (tmp_path / "b.parquet").write_bytes(b"PAR1words")
    with pytest.raises(DataError, match=r"(?s)cannot be read.*b\.parquet"):
        image_table(tmp_path / "b.parquet")
