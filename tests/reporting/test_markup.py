from html import unescape
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from limner.core.printable import printable
from limner.reporting.markup import Html, prose, render, tag


class Reader(HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def test_nested_elements():
    made = tag("p", "a < b ", tag("b", 3), [" ", tag("i", "x")], None)
    assert made == "<p>a &lt; b <b>3</b> <i>x</i></p>"
    assert isinstance(made, Html)


def test_attributes():
    assert tag("td", class_="num", data_sort=0.5, hidden=True, title=None, open=False) == (
        '<td class="num" data-sort="0.5" hidden></td>'
    )


def test_void_elements_have_no_end():
    assert tag("img", src="data:x", alt="") == '<img src="data:x" alt=""/>'


@given(st.text())
def test_any_text_comes_out_printable_and_adds_no_element(text):
    read = Reader(tag("p", text, title=text))
    assert read.tags == ["p"]
    assert unescape(tag("p", text)[3:-4]) == printable(text)
    assert len(read.attributes) == 1


def test_prose_sets_code_between_backticks_only_in_pairs():
    assert prose("set `a<b` in x") == "set <code>a&lt;b</code> in x"
    assert prose("a lone ` stays") == "a lone ` stays"
    assert prose("plain & simple") == render("plain & simple")
