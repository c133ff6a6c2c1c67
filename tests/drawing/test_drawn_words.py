import numpy as np

from limner.core.words import Words
from limner.drawing.drawn_words import IGNORED, READ, draw_words


def test_outlines_lie_where_the_words_are_at_any_size():
    square = np.array([[10.0, 20], [40, 20], [40, 60], [10, 60]])
    words = Words((square, square + [50, 0]), ("A", "hidden"), np.array([False, True]))
    picture = np.zeros((200, 200, 3), np.uint8)
    drawn = draw_words(picture, words, size=(100, 100))
    assert not picture.any()
    np.testing.assert_array_equal(drawn[80, 20], READ)  # the left edge at x = 10 of 100
    np.testing.assert_array_equal(drawn[80, 120], IGNORED)
    assert not drawn[80, 50].any()
    above = drawn[20:38]
    assert above[:, 20:60].any()  # its text
    assert not above[:, 120:180].any()  # what cannot be read has none
