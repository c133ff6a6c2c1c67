"""The costs that limner ships are those that counting finds."""

import json

import pytest

from limner.api.networks import COSTS, count_costs
from limner.networks import NETWORKS

KNOWN = json.loads(COSTS.read_text("utf-8"))
RENEW = "renew it: python -c 'from limner.api.networks import write_costs; write_costs()'"


@pytest.mark.parametrize("name", NETWORKS)
def test_the_shipped_costs_are_those_of_the_networks(name):
    first = next(iter(NETWORKS[name].variants))
    found = list(count_costs(name, first))
    assert KNOWN.get(f"{name}/{first}" if first else name) == found, RENEW


def test_every_variant_has_costs_and_nothing_else_has():
    wanted = {f"{n}/{v}" if v else n for n, entry in NETWORKS.items() for v in entry.variants}
    assert set(KNOWN) == wanted, RENEW
