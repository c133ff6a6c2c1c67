import numpy as np
import pytest

from limner.core.errors import DataError
from limner.core.sample import Sample
from limner.evaluation.predicted_words import PredictedWords, word_files

LINE = "1,2,9,2,9,6,1,6"


def sample(name):
    return Sample(name, np.zeros((8, 12, 3), np.uint8))


def test_words_are_found_by_the_name_of_the_image(make_tree):
    root = make_tree(
        {"words/a/res_img_1.txt": f"{LINE}\n\n{LINE},0.7\n", "words/img_2.txt": "", "notes.md": "x"}
    )
    assert word_files(root) == root / "words"
    predicted = PredictedWords(root / "words")
    (word, again) = predicted.predict(sample("a/img_1")).polygons
    assert word.tolist() == again.tolist() == [[1, 2], [9, 2], [9, 6], [1, 6]]
    assert len(predicted.predict(sample("test/img_1")).polygons) == 2
    assert predicted.predict(sample("b/img_2")).polygons == ()


def test_folders_without_text_files_have_no_words(make_tree):
    assert word_files(make_tree({"masks/a.png": np.zeros((2, 2), np.uint8)})) is None


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"res_other.txt": LINE}, "file of found words is missing"),
        ({"a/img.txt": LINE, "b/img.txt": LINE}, "Several files"),
        ({"img.txt": "1,2,3,4"}, "3 corners"),
        ({"img.txt": f"{LINE}\n1,2,x,4,5,6,7,8"}, "line 2"),
        ({"img.txt": b"\xff\xfe\xfa"}, "cannot be read"),
    ],
)
def test_what_is_wrong_is_named(make_tree, files, said):
    with pytest.raises(DataError, match=said):
        PredictedWords(make_tree(files)).predict(sample("img"))
