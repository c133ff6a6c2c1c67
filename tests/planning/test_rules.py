"""Each rule on cases whose answer is plain; the numbers in comments are worked out by hand."""

from dataclasses import replace
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.checks.facts import DatasetFacts, ObjectFacts
from limner.core.plan import LossTerm, ResizePlan
from limner.devices.machine import Machine, Memory
from limner.planning.cost import Cost
from limner.planning.decisions import YOU_SET_IT, Decision, decide
from limner.planning.rules import RULES
from limner.planning.rules.input import fit_crop
from limner.planning.rules.loss import tell_partial_labels
from limner.planning.rules.network import choose_pretraining, warn_of_few_queries
from limner.planning.rules.sharding import choose_sharding
from limner.planning.settings import default_values, settable_fields
from limner.tasks.presets import PRESETS, find_preset

GIB = 2**30


def settle(case, **user):
    return decide(case, RULES, {key.replace("__", "."): value for key, value in user.items()})


def test_every_key_without_default_is_decided_with_a_reason(make_case):
    settled, reasons = settle(make_case())
    assert {key for key, field in settable_fields().items() if field.is_required()} <= settled.keys()
    assert all(reasons.values())


def test_a_users_setting_is_never_overridden(make_case):
    case = make_case()
    free, _ = settle(case)
    for key in free:
        settled, reasons = decide(case, RULES, {key: free[key]})
        assert settled[key] == free[key]
        if not isinstance(free[key], dict):
            assert reasons[key] == YOU_SET_IT


def test_of_a_mapping_the_user_may_set_a_part(make_case):
    rules = [lambda case, settled: [Decision("network.options", {"widths": [4], "norm": "batch"}, "why")]]
    settled, reasons = decide(make_case(), rules, {"network.options": {"norm": "group"}})
    assert settled["network.options"] == {"widths": [4], "norm": "group"}
    assert reasons["network.options"] == "you set norm; for the rest: why"


def test_the_size_table_answers_every_question():
    for on_cpu in (True, False):
        for dims in (2, 3):
            for minutes in (0.1, 3, 59, 600, None):
                row = find_preset(on_cpu=on_cpu, spatial_dims=dims, minutes=minutes)
                assert (row.on_cpu, row.spatial_dims) == (on_cpu, dims)
    assert all(row.batch_size & (row.batch_size - 1) == 0 for row in PRESETS)  # halved where images are few


def test_a_network_of_segments_brings_the_loss_of_its_paper(make_case, gpu):
    usual, _ = settle(make_case(machine=gpu), task="panoptic", network__name="mask2former")
    assert usual["loss.terms"] == (LossTerm(name="segment_set"),)
    settled, reasons = settle(make_case(), network__name="maskformer", task="panoptic")
    (term,) = settled["loss.terms"]
    assert (term.options["mask_loss"], term.options["mask_weight"]) == ("focal", 20)
    assert term.options["num_points"] < 12544  # on a CPU
    assert "focal" in reasons["loss.terms"]


@pytest.mark.parametrize("task", ["instance", "panoptic"])
def test_objects_are_found_by_their_centres_unless_another_network_is_chosen(make_case, gpu, task):
    of_classes, _ = settle(make_case(minutes=8 / 3))
    settled, reasons = settle(make_case(minutes=8), task=task)
    assert settled["network.name"] == "unet-centres"
    assert settled["network.options"] == of_classes["network.options"]
    assert settled["optimizer.learning_rate"] == of_classes["optimizer.learning_rate"]
    assert settled["loss.terms"][0].name == "centre_offset"
    assert "from scratch in 8 min on the CPU" in reasons["network.name"]
    assert "overlap" in reasons["loss.terms"]
    settled, _ = settle(make_case(machine=gpu), task=task)
    assert settled["network.name"] == "panoptic-deeplab"


def test_crops_of_objects_are_a_few_diameters_wide_in_a_short_run(make_case):
    case = make_case(minutes=8)
    # 36 squares of the diameter: 6 * 2 * sqrt(400 / pi) = 135 pixels, in steps of 32.
    classes = tuple(replace(c, object_area=400.0) for c in case.fingerprint.classes)
    small = replace(case, fingerprint=replace(case.fingerprint, classes=classes))
    settled, reasons = settle(small, task="instance")
    assert settled["input.crop_size"] == (128, 128)
    assert "gives more steps" in reasons["input.crop_size"]
    assert settle(small)[0]["input.crop_size"] == settle(case)[0]["input.crop_size"] != (128, 128)
    assert settle(replace(small, minutes=None), task="instance")[0]["input.crop_size"] != (128, 128)


def test_a_run_in_which_queries_cannot_learn_is_told_in_one_sentence(make_case):
    settled, reasons = settle(make_case(minutes=8), task="instance", network__name="mask2former")
    seen = settled["train.steps"] * settled["train.batch_size"]
    assert reasons["network.name"] == (
        f"{YOU_SET_IT}; in this run mask2former sees about {seen:,} crops and will find few objects: without "
        "pretrained weights (--weights) it needs about 120,000, unlike unet-centres"
    )
    # 4 x 30,000 crops are 120,000.
    long = {"train__steps": 30_000, "train__batch_size": 4}
    for case, chosen in (
        (make_case(), {"task": "instance", "network__name": "mask2former", **long}),
        (make_case(minutes=8), {"task": "semantic", "network__name": "mask2former"}),
        (make_case(minutes=8), {"task": "instance", "network__name": "unet-centres"}),
    ):
        assert settle(case, **chosen)[1]["network.name"] == YOU_SET_IT


def test_three_minutes_of_cpu_get_a_small_unet(make_case):
    settled, reasons = settle(make_case(minutes=3))
    assert settled["network.name"] == "unet"
    assert max(settled["network.options"]["widths"]) <= 256
    assert "3 min" in reasons["network.name"]


def test_options_of_the_table_do_not_leak_into_another_network(make_case):
    settled, _ = settle(make_case(minutes=3), network__name="pspnet")
    assert settled["network.options"] == {}


@pytest.mark.parametrize(
    ("sides", "allowed", "crop"),
    [
        ((256, 320), 10**9, (256, 320)),  # the whole image
        ((256, 320), 256 * 256, (256, 256)),  # the short side whole, the long one cut
        ((1024, 2048), 512 * 1024, (704, 736)),  # the root, 724, becomes 704; 524288 / 704 = 744
        ((100, 4000), 256 * 256, (96, 672)),  # 65536 / 96 = 682
        ((20, 30), 10**9, (48, 48)),  # smaller than networks take: padded
        ((35, 50, 36), 32**3, (48, 48, 48)),  # volumes: never below the smallest side
        ((200, 200, 200), 96**3, (96, 96, 96)),
    ],
)
def test_the_crop_fits_image_and_budget(sides, allowed, crop):
    assert fit_crop(sides, allowed) == crop


@given(
    sides=st.lists(st.integers(64, 5000), min_size=2, max_size=3), allowed=st.integers(64 * 64 * 64, 10**7)
)
def test_a_crop_is_never_larger_than_the_image_or_the_budget(sides, allowed):
    crop = fit_crop(sides, allowed)
    assert all(c <= s for c, s in zip(crop, sides, strict=True))
    assert prod(crop) <= allowed
    assert all(c % 16 == 0 for c in crop)


def test_the_batch_is_cut_into_parts_that_fit(make_case, make_facts):
    # 1000 bytes a pixel, crops of 256 x 256: 65.5 MB a sample. Half of the free 0.5 GiB is 268 MB; less
    # 5 MB of weights it holds 4 samples: a batch of 8 in 2 parts.
    machine = Machine("cpu", "small", Memory(GIB, GIB // 2), num_cores=2, fast_bfloat16=False)
    settled, reasons = settle(make_case(make_facts(40), machine=machine, minutes=3))
    assert settled["input.crop_size"] == (256, 256)
    assert (settled["train.batch_size"], settled["train.accumulate"]) == (8, 2)
    assert "4 crops of 256x256 fit in 256 MiB" in reasons["train.batch_size"]


def test_the_crop_shrinks_before_the_batch_falls_below_two(make_case, make_facts):
    # 100 MB free, half of it: 50 MB, less 5 MB of weights: 45000 pixels at 1000 bytes, 22500 a crop: 150^2.
    machine = Machine("cpu", "tiny", Memory(GIB, 10**8), num_cores=2, fast_bfloat16=False)
    settled, reasons = settle(make_case(make_facts(40), machine=machine, minutes=3))
    assert settled["input.crop_size"] == (128, 128)
    assert "does not fit" in reasons["input.crop_size"]


def test_the_batch_is_no_larger_than_the_images_are_many(make_case, make_facts):
    settled, reasons = settle(make_case(make_facts(5), minutes=3))
    assert settled["train.batch_size"] == 4
    assert "5 training images" in reasons["train.batch_size"]


def test_the_batch_shrinks_where_a_budget_allows_few_steps(make_case, make_facts):
    # A minute, less 6 % for validation, is 40 steps of 1.41 s; 8 crops of 256 x 256 take 5.2 s, 2 take 1.3 s.
    slow = Cost(1_000_000, 0.0, 1000.0, 0.0, 1e-5, 300.0)
    settled, reasons = settle(make_case(make_facts(40), cost=slow, minutes=1))
    assert settled["train.batch_size"] == 2
    assert "with 8, 1 min would allow fewer than 40 steps here" in reasons["train.batch_size"]
    assert settle(make_case(make_facts(40), cost=slow, minutes=4))[0]["train.batch_size"] == 8
    # Statistics of a batch of two are of no use: U-Net++ keeps the batch.
    case = make_case(make_facts(40), cost=slow, minutes=1)
    assert settle(case, network__name="unetplusplus")[0]["train.batch_size"] == 8


@pytest.mark.parametrize(("bfloat16", "float16", "precision"), [
    (True, True, "bfloat16"), (False, True, "float16"), (False, False, "float32"),
])  # fmt: skip
def test_the_precision_is_one_the_device_is_fast_in(make_case, bfloat16, float16, precision):
    machine = Machine("cuda", "card", Memory(8 * GIB, 8 * GIB), 8, bfloat16, float16)
    assert settle(make_case(machine=machine))[0]["train.precision"] == precision


def test_only_runs_on_accelerators_try_compiling(make_case):
    card = Machine("cuda", "card", Memory(8 * GIB, 8 * GIB), 8, fast_bfloat16=True)
    settled, reasons = settle(make_case(machine=card))
    assert settled["train.compile"] is None
    assert "whether compiling pays" in reasons["train.compile"]
    assert settle(make_case(machine=card), train__compile=True)[0]["train.compile"] is True
    processor = Machine("cpu", "small", Memory(GIB, GIB), 2, fast_bfloat16=False)
    assert "train.compile" not in settle(make_case(machine=processor))[1]


def test_pretrained_encoders_get_imagenets_statistics_and_others_the_datas(make_case):
    from_scratch, _ = settle(make_case(minutes=3))
    assert from_scratch["input.mean"] == (100.0, 100.0, 100.0)
    pretrained, _ = settle(make_case(), network__name="pspnet")
    assert pretrained["input.mean"] == (123.675, 116.28, 103.53)
    measured, _ = settle(make_case(), network__name="pspnet", network__pretrained="no")
    assert measured["input.mean"] == (100.0, 100.0, 100.0)


@pytest.mark.parametrize(("network", "pretrained"), [("classifier", "no"), ("linear-probe", "yes")])
def test_a_narrow_encoder_has_no_weights_which_a_probe_needs(make_case, network, pretrained):
    options = {"backbone": "resnet18_width16"}
    settled = default_values() | {"network.name": network, "network.options": options}
    (decision,) = choose_pretraining(make_case(), settled)
    assert decision.value == pretrained  # `yes` is refused with the reason, as there are none


def test_microscopy_is_turned_and_scenes_are_not(make_case, make_facts):
    cells, _ = settle(make_case(make_facts(30)))
    assert (cells["augment.flip_axes"], cells["augment.quarter_turns"]) == ((0, 1), True)
    assert len(set(cells["input.crop_size"])) == 1  # a turned crop must keep its size
    scenes, reasons = settle(make_case(make_facts(30, grids="sky")))
    assert (scenes["augment.flip_axes"], scenes["augment.quarter_turns"]) == ((1,), False)
    assert "up-down" in reasons["augment.flip_axes"]


@pytest.mark.parametrize(
    ("looks", "word"),
    [
        ({"channels": 1, "grey": True}, "1 channel"),
        ({"channels": 5}, "5 channels"),
        ({"dtype": "uint16"}, "uint16"),
        ({"grey": True}, "grey although stored as RGB"),
    ],
)
def test_colour_is_not_varied_where_there_is_none(make_case, make_facts, looks, word):
    settled, reasons = settle(make_case(make_facts(**looks)))
    assert settled["augment.saturation"] == settled["augment.hue"] == 0.0
    assert word in reasons["augment.hue"]


def test_colour_is_varied_in_colour_images(make_case):
    settled, _ = settle(make_case())
    assert settled["augment.hue"] > 0


def test_dice_joins_for_few_classes_and_for_imbalance(make_case, make_facts):
    def names(case):
        return [term.name for term in settle(case)[0]["loss.terms"]]

    even = {i: 8192 for i in range(10)}
    assert names(make_case(num_classes=2)) == ["cross_entropy", "dice"]
    assert names(make_case(make_facts(counts=even), num_classes=10)) == ["cross_entropy"]
    uneven = even | {9: 400}  # 8192 / 400 = 20.48 times
    assert names(make_case(make_facts(counts=uneven), num_classes=10)) == ["cross_entropy", "dice"]


def test_class_weights_only_by_need(make_case, make_facts):
    # Shares 0.99 and 0.01: roots of the inverse are 1.005 and 10; their mean 5.5025; weights 0.183, 1.817.
    case = make_case(make_facts(counts={0: 990, 1: 10}))
    assert settle(case)[0]["loss.class_weights"] is None  # Dice makes up for it
    alone = (LossTerm(name="cross_entropy"),)
    settled, reasons = settle(case, loss__terms=alone)
    assert settled["loss.class_weights"] == pytest.approx((0.183, 1.817), abs=1e-3)
    assert "99 times" in reasons["loss.class_weights"]
    mild = make_case(make_facts(counts={0: 960, 1: 40}))  # 24 times: below 50
    assert settle(mild, loss__terms=alone)[0]["loss.class_weights"] is None


def test_rare_foreground_is_sought_where_crops_are_small(make_case, make_facts):
    rare = {0: 98, 1: 2}
    large = make_facts(shape=(2000, 2000), counts=rare)
    assert settle(make_case(large, minutes=3))[0]["augment.foreground_probability"] > 0
    assert settle(make_case(make_facts(counts=rare), minutes=3))[0]["augment.foreground_probability"] == 0


def test_the_learning_rate_follows_the_batch(make_case, make_facts):
    # AdamW: root, 1e-3 * sqrt(2 / 8) = 5e-4. SGD: in proportion, 0.01 * 4 / 16 = 0.0025.
    case = make_case(make_facts(40), minutes=60)
    scaled, reasons = settle(case, train__batch_size=2)
    assert scaled["optimizer.learning_rate"] == 5e-4
    assert reasons["optimizer.learning_rate"] == "0.001 for a batch of 8, scaled by the square root to 2"
    same = settle(case, train__batch_size=8)[1]["optimizer.learning_rate"]
    assert same == "0.001 for a batch of 8"
    settled, _ = settle(case, optimizer__name="sgd", train__batch_size=4)
    assert settled["optimizer.learning_rate"] == 0.0025
    assert settled["optimizer.weight_decay"] == 5e-4


def test_short_runs_with_instance_normalisation_take_bold_steps(make_case, make_facts):
    case = make_case(make_facts(40), minutes=3)
    bold, reasons = settle(case)
    assert (bold["network.options"]["norm"], bold["optimizer.learning_rate"]) == ("instance", 3e-3)
    assert "in a run of fewer than 1000 steps" in reasons["optimizer.learning_rate"]
    for careful in ({"network__options": {"norm": "batch"}}, {"train__steps": 1000}):
        assert settle(case, **careful)[0]["optimizer.learning_rate"] == 1e-3


def test_minutes_become_an_estimate_of_steps(make_case, make_facts):
    # 1 us a pixel, 8 crops of 256 x 256: 0.524 s a step; of 3 minutes 94 % train: 169.2 s / 0.524 s = 322.
    settled, reasons = settle(make_case(make_facts(40), minutes=3))
    assert settled["train.steps"] == 322
    assert "estimate" in reasons["train.steps"]
    assert settled["train.minutes"] == 3


def test_a_plan_says_that_the_machine_was_busy(make_case, make_facts):
    said = []
    for others in (0.2, 1.4):
        cost = Cost(1_000_000, 0.0, 1000.0, 0.0, 1e-6, 300.0, others=others)
        said.append(settle(make_case(make_facts(40), minutes=3, cost=cost))[1]["train.steps"])
    assert "other programs" not in said[0]
    assert "a step takes about 0.52 s here, while other programs use 1.4 cores" in said[1]


def test_without_minutes_steps_follow_the_images(make_case, make_facts):
    few, _ = settle(make_case(make_facts(10)))
    many, _ = settle(make_case(make_facts(200)))
    assert few["train.steps"] == 400  # the fewest on a CPU
    assert many["train.steps"] == 1500  # 200 images, 60 times, by 8
    assert many["schedule.warmup_steps"] == 75  # a twentieth


def test_images_that_are_resized_are_planned_at_their_new_size(make_case, make_facts):
    case = make_case(make_facts(shape=(512, 1024)), cost=Cost(1_000_000, 0.0, 1000.0, 0.0, 1e-6, 10_000.0))
    own, _ = settle(case)
    small, reasons = settle(case, input__resize=ResizePlan(shortest=128))
    assert own["input.crop_size"] == (384, 384) and small["input.crop_size"] == (128, 128)
    assert "resized from" in reasons["input.crop_size"]
    # The largest image takes 512 * 1024 * 10 kB = 5 GiB, resized a sixteenth, of half of the 8 GiB free.
    assert own["inference.window"] is not None and small["inference.window"] is None
    back, _ = settle(case, input__resize=ResizePlan(shortest=128), inference__resize=ResizePlan())
    assert back["inference.window"] is not None


def test_areas_of_objects_change_with_the_images(make_case, make_facts):
    of = make_case(make_facts(shape=(256, 320))).fingerprint
    small = of.resized(ResizePlan(size=(128, 160)))  # a quarter of the pixels
    assert [c.component_area for c in small.classes] == [120 / 4, 120 / 4]
    assert of.resized(None) is of and of.resized(ResizePlan()) is of


def test_jitter_of_objects_is_relative_to_the_crop_unless_the_user_chose_a_zoom(make_case, make_facts, gpu):
    case = make_case(make_facts(shape=(256, 512), grids="sky"), machine=gpu)
    free, _ = settle(case, task="instance", input__crop_size=(128, 128))
    assert (free["augment.scale_of"], free["augment.scale"]) == ("fit", (0.1, 2.0))
    # 256 x 512 fits the crop at 128 / 512 = 1/4.
    image, _ = settle(case, task="instance", input__crop_size=(128, 128), augment__scale_of="image")
    assert (image["augment.scale_of"], image["augment.scale"]) == ("image", (0.025, 0.5))
    given = replace(case, given=frozenset({"augment.scale"}))
    own, _ = settle(given, task="instance", augment__scale=(0.5, 1.0))
    assert (own["augment.scale_of"], own["augment.scale"]) == ("image", (0.5, 1.0))


def test_large_images_go_through_a_window(make_case, make_facts, gpu):
    assert settle(make_case(make_facts(4)))[0]["inference.window"] is None
    huge = make_facts(4, shape=(9000, 9000))  # 81 million pixels at 300 bytes: 24 GB, more than 17 GiB
    settled, reasons = settle(make_case(huge, machine=gpu))
    assert settled["inference.window"] == settled["input.crop_size"]
    assert "more than" in reasons["inference.window"]


def test_volumes_get_a_3d_unet(make_case, make_facts):
    facts = make_facts(8, shape=(40, 64, 64), channels=1, dtype="float32", grids="random")
    settled, _ = settle(make_case(facts))
    assert settled["input.spatial_dims"] == 3
    assert len(settled["input.crop_size"]) == 3
    assert (settled["augment.flip_axes"], settled["augment.scale"]) == ((0, 1, 2), (0.7, 1.4))
    assert settled["inference.window"] == settled["input.crop_size"]


def test_text_is_not_mirrored(make_case, make_facts):
    noise = make_case(make_facts(20, grids="random"))
    assert settle(noise)[0]["augment.flip_axes"]
    settled, reasons = settle(replace(noise, shows_text=True))
    assert (settled["augment.flip_axes"], settled["augment.quarter_turns"]) == ((), False)
    assert "text" in reasons["augment.flip_axes"]
    assert settled["augment.rotation"] == 0


def test_words_are_rotated_a_little_and_sought(make_case, make_facts):
    case = replace(make_case(make_facts(20, grids="random"), num_classes=1), shows_text=True)
    settled, reasons = settle(case, task="text-detection")
    assert (settled["network.name"], settled["network.options"]) == ("dbnet", {"backbone": "resnet18"})
    short, _ = settle(replace(case, minutes=10.0), task="text-detection")
    assert short["network.options"] == {"backbone": "resnet18_width16", "channels": 64}
    # There are no weights of it, so the rate is that of training from scratch.
    assert (short["network.pretrained"], short["optimizer.learning_rate"]) == ("no", 3e-3)
    assert (settled["augment.rotation"], settled["augment.flip_axes"]) == (10, ())
    assert (settled["inference.outlines"], settled["inference.word_score"]) == ("boxes", 0.3)
    assert settled["augment.foreground_probability"] == 0.75
    assert "most crops show" in reasons["augment.foreground_probability"]


def test_cost_is_linear():
    cost = Cost(
        weight_bytes=100,
        fixed_bytes=50.0,
        bytes_per_pixel=2.0,
        seconds_per_step=3.0,
        seconds_per_pixel=0.5,
        forward_bytes_per_pixel=1.0,
    )
    # AdamW: weights, gradients, two moments and the average: 5 copies = 500; 50 fixed; 10 pixels = 20.
    assert cost.training_bytes(10, optimizer="adamw") == 570
    assert cost.pixels_that_fit(570, optimizer="adamw") == 10
    assert cost.seconds(10) == 8.0
    assert cost.pixels_that_fit(10, optimizer="adamw") == 0


def test_a_sharded_model_holds_a_part_and_gathers_blocks_or_for_validation_all_weights():
    cost = Cost(1000, 50.0, 2.0, 0.0, 0.0, 1.0, gathered_bytes=100)
    assert cost.training_bytes(10, optimizer="adamw") == 5070  # 5 x 1000 + 50 + 20: nothing is gathered
    quarter = cost.sharded(4)
    # 5 x 1000 / 4 = 1250 are held. A step of 500 pixels needs 2 x 100 gathered, 50 and 1000: 1250 too.
    assert quarter.training_bytes(500, optimizer="adamw") == 2500
    # One of 10 pixels needs 270, and validation all 1000 weights.
    assert quarter.training_bytes(10, optimizer="adamw") == 2250
    assert quarter.pixels_that_fit(2500, optimizer="adamw") == 500
    assert quarter.pixels_that_fit(2250, optimizer="adamw") == 375  # (2250 - 1250 - 250) / 2
    assert quarter.pixels_that_fit(2249, optimizer="adamw") == 0
    assert cost.sharded(1) == cost
    # SGD without an average: weights, gradients and momentum
    assert quarter.training_bytes(500, optimizer="sgd", averaged=False) == 750 + 1250


@pytest.mark.parametrize(
    ("gib", "devices", "expected"),
    [
        (1, 1, None),  # nothing to divide
        (1, 8, "none"),  # 5 GiB of 17
        (2, 8, "full"),  # 10 GiB of 17: more than half
    ],
)
def test_a_model_is_sharded_if_a_whole_one_leaves_little_memory(make_case, gpu, gib, devices, expected):
    cost = Cost(gib * GIB, 0.0, 1000.0, 0.0, 1e-6, 300.0, gathered_bytes=GIB // 8)
    case = make_case(machine=replace(gpu, num_processes=devices), cost=cost)
    decided = list(choose_sharding(case, default_values() | {"network.name": "unet"}))
    assert [decision.value for decision in decided] == ([] if expected is None else [expected])
    if expected == "full":
        assert "take 10.0 GiB of 17.0 GiB" in decided[0].reason
        # 10 / 8 GiB, and in validation 2 GiB of weights
        assert "divided between 8 devices, 3.2 GiB of each" in decided[0].reason


def test_a_sharded_model_leaves_memory_for_images(make_case, gpu):
    # A whole one takes 16.5 of 17 GiB, and the rest holds 6 crops of 82,000 pixels.
    cost = Cost(33 * GIB // 10, 0.0, 1000.0, 0.0, 1e-6, 300.0, gathered_bytes=GIB // 8)
    alone, _ = settle(make_case(machine=gpu, cost=cost))
    together, _ = settle(make_case(machine=replace(gpu, num_processes=8), cost=cost))
    assert (alone["train.sharding"], alone["train.compile"]) == ("none", None)
    assert (together["train.sharding"], together["train.compile"]) == ("full", False)
    assert alone["train.accumulate"] > together["train.accumulate"] == 1


MEAN_OF_WEIGHTS = (111.0, 112.0, 113.0)


@pytest.fixture
def start(tiny_plan):
    """The plan of weights: a U-Net on RGB of 8 bits."""
    plan = tiny_plan()
    return plan.model_copy(update={"input": plan.input.model_copy(update={"mean": MEAN_OF_WEIGHTS})})


def test_weights_settle_network_input_and_pretraining(make_case, make_facts, start):
    case = replace(make_case(make_facts(4)), start=start)
    settled, reasons = settle(case)
    assert settled["network.name"] == "unet" and settled["network.options"] == {"widths": [4, 6]}
    assert settled["network.pretrained"] == "no"
    assert (
        settled["input.mean"] == MEAN_OF_WEIGHTS
        and "as in the training of the initial weights" in reasons["input.mean"]
    )
    assert "network of the initial weights" in reasons["network.name"]


def test_weights_for_colour_take_grey_images(make_case, make_facts, start):
    case = replace(make_case(make_facts(4, channels=1)), start=start)
    assert settle(case)[0]["input.channels"] == 3


def test_weights_for_8_bits_do_not_tell_the_mean_of_16(make_case, make_facts, start):
    case = replace(make_case(make_facts(4, dtype="uint16")), start=start)
    assert settle(case)[0]["input.mean"] != MEAN_OF_WEIGHTS


def test_the_encoder_of_weights_moves_slowly(make_case, make_facts, start):
    network = start.network.model_copy(update={"name": "mask2former", "options": {}})
    case = replace(make_case(make_facts(4)), start=start.model_copy(update={"network": network}))
    assert settle(case)[0]["optimizer.multipliers"] == {"backbone": 0.1}
    assert settle(replace(case, start=start))[0]["optimizer.multipliers"] == {}


@pytest.mark.parametrize(("side", "minutes", "zoom"), [(190, 8, 0.34), (120, 8, 0.53), (60, 8, None)])
def test_large_objects_are_reduced_for_networks_from_scratch(make_case, make_facts, side, minutes, zoom):
    # They become 64 pixels wide: 64 / 190 is 0.34.
    facts = make_facts(shape=(480, 640), grids="sky")
    area = float(side**2)
    drawn = {1: ObjectFacts(3, 0, area, area, area)}
    facts = replace(facts, images=tuple(replace(image, objects=drawn) for image in facts.images))
    settled, reasons = settle(make_case(facts, minutes=minutes), task="instance")
    assert settled["network.name"] == "unet-centres"
    assert settled["input.resize"] == (None if zoom is None else ResizePlan(zoom=zoom))
    if zoom is not None:
        assert f"become {int(side * zoom)} pixels wide" in reasons["input.resize"]


@pytest.mark.parametrize(
    ("side", "minutes", "zoom"), [(40, 10, 0.7), (200, 10, 0.46), (28, 10, None), (40, None, None)]
)
def test_boxes_are_trained_on_reduced_images_where_time_is_short(make_case, make_facts, side, minutes, zoom):
    # A crop of 256 x 256 pixels shows 0.46 of 480 x 640; objects stay 28 pixels wide: 28 / 40 is 0.7.
    facts = make_facts(shape=(480, 640), grids="sky")
    area = float(side**2)
    drawn = {1: ObjectFacts(3, 0, area, area, area)}
    facts = replace(facts, images=tuple(replace(image, objects=drawn) for image in facts.images))
    settled, reasons = settle(make_case(facts, minutes=minutes), task="detection")
    assert settled["input.resize"] == (None if zoom is None else ResizePlan(zoom=zoom))
    assert settled["network.name"] == "fcos"
    if zoom is not None:
        low, high = settled["augment.scale"]
        assert low < 1 < high
        assert "more images are seen" in reasons["input.resize"]


def test_more_objects_than_queries_are_said(make_case, make_facts, make_labels):
    images = list(make_facts(count=3).images)
    images[1] = replace(images[1], objects={1: ObjectFacts(301, 0, 9.0, 9.0, 9.0)})
    images[2] = replace(images[2], objects={1: ObjectFacts(400, 200, 9.0, 9.0, 9.0)})  # half of them crowds
    case = replace(make_case(DatasetFacts(tuple(images))), task="detection")
    assert case.fingerprint.most_objects == 301
    user = {"task": "detection", "network.name": "deformable-detr"}
    _, reasons = decide(case, (warn_of_few_queries,), user)
    assert "301 objects, and the network 300 queries" in reasons["network.options"]
    enough = user | {"network.options": {"num_queries": 400}}
    assert decide(case, (warn_of_few_queries,), enough)[1]["network.options"] == YOU_SET_IT
    assert "network.options" not in decide(case, (warn_of_few_queries,), user | {"network.name": "fcos"})[1]


@pytest.mark.parametrize(
    ("task", "network", "said"),
    [
        ("detection", "fcos", "not learned as background"),
        ("detection", "deformable-detr", "not learned as background"),
        ("instance", "mask2former", "not learned as background"),
        ("instance", "unet-centres", "learned as background all the same"),
        ("semantic", "mask2former", "learned as background all the same"),
        ("semantic", "unet", "learned as background all the same"),
    ],
)
def test_what_becomes_of_classes_that_images_are_not_labelled_for(make_case, task, network, said):
    user = {"task": task, "network.name": network}
    case = replace(make_case(), is_partly_labelled=True)
    assert said in decide(case, (tell_partial_labels,), user)[1]["loss.terms"]
    assert "loss.terms" not in decide(make_case(), (tell_partial_labels,), user)[1]
    terms = (LossTerm(name="mine"),)
    settled, reasons = decide(case, (tell_partial_labels,), user | {"loss.terms": terms})
    assert settled["loss.terms"] == terms and reasons["loss.terms"].startswith(YOU_SET_IT)
