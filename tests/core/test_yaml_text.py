"""YAML with libyaml and without it: the same values, and what is written comes back."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from limner.core.yaml_text import BASE_LOADER, ONE_LINE, SAFE_LOADER, compose_yaml, dump_yaml, load_yaml

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


@given(value=values, flow=st.sampled_from([True, False, None]), width=st.sampled_from([80, ONE_LINE]))
def test_what_is_written_comes_back(value, flow, width):
    text = dump_yaml(value, flow=flow, width=width)
    assert load_yaml(text) == value


@given(value=values, flow=st.booleans())
def test_libyaml_reads_what_pyyaml_reads(value, flow):
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    assert load_yaml(text, SAFE_LOADER) == load_yaml(text, yaml.SafeLoader)
    assert load_yaml(text, BASE_LOADER) == load_yaml(text, yaml.BaseLoader)


def test_keys_stand_at_the_same_places():
    text = "# ä 😀\r\nnames: [ä, 😀]  # 😀\nsplits:\n  a: {b: 2}\n  # x\n\nüber: |\n  one\n\n  2\nlast: 1\n"
    places = []
    for loader in (SAFE_LOADER, yaml.SafeLoader):
        marks = [(key.value, key.start_mark) for key, _ in compose_yaml(text, loader).value]
        places.append([(name, mark.index, mark.line, mark.column) for name, mark in marks])
    assert places[0] == places[1]
