import pytest
import torch

from limner.core.errors import ModelError
from limner.core.labels import LabelClass, LabelTable
from limner.networks import NETWORKS
from limner.weights.model import Model
from limner.weights.transfer import rows_to_transfer, transfer


def table(*names):
    return LabelTable(tuple(LabelClass(name, (i,), (0, 0, 0)) for i, name in enumerate(names)))


@pytest.fixture
def make(tiny_plan):
    """Makes a model with its own random weights."""

    def model(names, *, network="unet", options=None, seed=0, channels=3):
        torch.manual_seed(seed)
        plan = tiny_plan(labels=table(*names), channels=channels)
        options = {"widths": [4, 6]} if options is None else options
        update = {"network": plan.network.model_copy(update={"name": network, "options": options})}
        return Model.from_plan(plan.model_copy(update=update)).eval()

    return model


QUERIES = {
    "backbone": "resnet18_width16",
    "channels": 32,
    "pixel_layers": 1,
    "decoder_layers": 1,
    "num_queries": 5,
    "pixel_feedforward": 16,
    "decoder_feedforward": 16,
}


def test_the_same_classes_take_everything(make):
    start, model = make(["background", "Cell"], seed=1), make(["background", "cell"])
    done = transfer(start, model)
    assert not done.new and not done.skipped and not done.by_class and not done.fresh
    given = start.network.state_dict()
    assert all(torch.equal(value, given[name]) for name, value in model.network.state_dict().items())


def test_classes_go_by_their_names_and_new_ones_begin_anew(make):
    start = make(["background", "cell", "dirt"], seed=1)
    model = make(["cell", "nucleus", "background"])
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    done = transfer(start, model)
    assert done.carried == ("cell", "background") and done.fresh == ("nucleus",)
    assert not done.new and not done.skipped
    after, given = model.network.state_dict(), start.network.state_dict()
    for name in done.by_class:
        assert torch.equal(after[name][[0, 2]], given[name][[1, 0]]), name
        assert torch.equal(after[name][1], before[name][1]), name
    for name in done.loaded:
        assert torch.equal(after[name], given[name]), name
    assert len(done.by_class) == 2  # weight and bias of the head


def test_a_query_network_keeps_what_it_knows_of_no_object(make):
    start = make(["person", "car"], network="mask2former", options=QUERIES, seed=1)
    model = make(["car", "tree", "bird"], network="mask2former", options=QUERIES)
    done = transfer(start, model)
    assert set(done.by_class) == {f"query_decoder.head.class_embed.{end}" for end in ("weight", "bias")}
    after, given = model.network.query_decoder.head.class_embed, start.network.query_decoder.head.class_embed
    assert torch.equal(after.weight[0], given.weight[1])  # car
    assert torch.equal(after.weight[-1], given.weight[-1])  # no object
    assert not torch.equal(after.weight[1], given.weight[0])


def test_other_classes_leave_a_fresh_head(make):
    start = make(["person", "car"], network="mask2former", options=QUERIES, seed=1)
    model = make(["cell", "background"], network="mask2former", options=QUERIES)
    head = {f"query_decoder.head.class_embed.{end}" for end in ("weight", "bias")}
    before = model.network.query_decoder.head.class_embed.weight.clone()
    done = transfer(start, model)
    assert set(done.new) == head == set(done.skipped) and not done.by_class
    assert torch.equal(model.network.query_decoder.head.class_embed.weight, before)
    assert len(done.loaded) == len(model.network.state_dict()) - 2


def test_the_report_counts_and_names(make):
    start, model = make(["background", "cell"], seed=1), make(["background", "nucleus"])
    report = "\n".join(transfer(start, model).lines())
    assert "1 matched by name (background), 1 new (nucleus)" in report
    assert "new      0 tensors" in report and "skipped  0 tensors" in report


def test_other_channels_begin_the_first_convolution_anew(make):
    start, model = make(["a", "b"], seed=1), make(["a", "b"], channels=1)
    done = transfer(start, model)
    assert len(done.new) == 1 and model.network.state_dict()[done.new[0]].shape[1] == 1


def test_weights_of_which_nothing_fits_are_refused(make):
    start = make(["a", "b"], network="enet", options={})
    with pytest.raises(ModelError, match=r"None of the weights fit the network[\s\S]*enet[\s\S]*unet"):
        transfer(start, make(["a", "b"]))


SPREAD = {"gcn", "espnet", "fcn8s", "vnet", "residual-unet"}
"""Networks whose convolutions mix classes with classes; those begin anew where the classes are others."""


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_its_classes_in_rows(tiny_plan, name):
    entry = NETWORKS[name]
    plan = tiny_plan(labels=table("a", "b", "c"), spatial_dims=entry.spatial_dims[0])
    network = plan.network.model_copy(update={"name": name, "options": {}})
    rows = rows_to_transfer(plan.model_copy(update={"network": network}))
    assert rows, "some tensor must depend on the classes"
    assert any(axis is None for axis in rows.values()) == (name in SPREAD)


def test_the_report_says_that_no_class_is_carried_over(make):
    lines = [*transfer(make(["road", "car", "sky"]), make(["background", "glomerulus"])).lines()]
    assert "  classes  none matched by name, 2 new (background, glomerulus)" in lines
    assert not any("classes" in line for line in transfer(make(["a", "b"]), make(["a", "b"])).lines())
