"""The costs that limner ships are those that counting finds."""

import json

import pytest

from limner.api import networks as module
from limner.api.networks import COSTS, count_costs, write_costs
from limner.networks import NETWORKS

KNOWN = json.loads(COSTS.read_text("utf-8"))
RENEW = "renew the costs: make generate"


@pytest.mark.parametrize("name", NETWORKS)
def test_the_shipped_costs_are_those_of_the_networks(name):
    first = next(iter(NETWORKS[name].variants))
    found = list(count_costs(name, first))
    assert KNOWN.get(f"{name}/{first}" if first else name) == found, f"{RENEW} CHANGED={name}"


def test_every_variant_has_costs_and_nothing_else_has():
    wanted = {f"{n}/{v}" if v else n for n, entry in NETWORKS.items() for v in entry.variants}
    assert set(KNOWN) == wanted, RENEW


def test_only_what_is_new_or_changed_is_counted(tmp_path, monkeypatch):
    counted = []
    monkeypatch.setattr(
        module, "count_costs", lambda name, variant: counted.append((name, variant)) or (1, 2)
    )
    path = tmp_path / "costs.json"
    path.write_text(
        json.dumps(
            {key: value for key, value in KNOWN.items() if key != "unet/half width"} | {"gone": [3, 4]}
        )
    )
    write_costs("enet", path=path)
    assert counted == [("unet", "half width"), *(("enet", variant) for variant in NETWORKS["enet"].variants)]
    written = json.loads(path.read_text())
    assert list(written) == list(KNOWN)
    assert written["unet/half width"] == [1, 2]
    assert written["unet"] == KNOWN["unet"]
