from limner.core.wording import first_few


def test_the_others_are_counted():
    assert first_few([], 2) == ""
    assert first_few(["a", "b"], 2) == "a, b"
    assert first_few(iter("abcde"), 2) == "a, b and 3 more"
