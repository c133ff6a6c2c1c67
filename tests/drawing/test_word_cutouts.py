import numpy as np

from limner.drawing.word_cutouts import cut_out


def picture():
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_an_upright_word_is_its_own_pixels():
    word = np.array([[10, 5], [30, 5], [30, 15], [10, 15]], float)
    np.testing.assert_array_equal(cut_out(picture(), word), picture()[5:15, 10:30])


def test_a_word_on_its_side_is_set_upright():
    # The word's top left is the picture's bottom left: it is read upwards.
    word = np.array([[10, 35], [10, 5], [20, 5], [20, 35]], float)
    np.testing.assert_array_equal(cut_out(picture(), word), np.rot90(picture()[5:35, 10:20], -1))


def test_other_outlines_are_cut_with_a_rectangle():
    word = np.array([[10, 5], [20, 7], [30, 5], [30, 15], [10, 15]], float)
    np.testing.assert_array_equal(cut_out(picture(), word), picture()[5:15, 10:30])


def test_words_that_leave_the_image_or_have_no_height_are_cut_too():
    assert cut_out(picture(), np.array([[-5, -5], [5, -5], [5, 5], [-5, 5]], float)).shape == (10, 10, 3)
    assert cut_out(picture(), np.array([[5, 5], [9, 5], [9, 5], [5, 5]], float)).shape == (1, 4, 3)
