"""Settings that are misspelt, of the wrong type, out of range or contradictory: each is named at once."""

import pytest

from limner.cli.app import app

TWO = "classes:\n- {name: background, value: 0}\n- {name: cell, value: 255}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clases: [a, b]", "clases: unknown key (did you mean 'classes'?)"),
        ("classes: [{nam: a}]", "classes.0.nam: unknown key (did you mean 'name'?)"),
        ("classes: 5", "classes: should be a list; found 5"),
        ("classes: [{name: a, value: x}]", "classes.0.value: should be a whole number; found 'x'"),
        ("classes: [{name: a, value: 99999999999}]", "classes.0.value: should be less than 2147483648"),
        ("classes: [{name: a, value: 0}, {name: a, value: 255}]", "Each class name may be in the label"),
        ("classes: [{name: a, value: 0}, {name: b, value: 0}]", "Each mask value may be in the label"),
        ("splits: {val: 1.5}", "splits.val: should be less than 1; found 1.5"),
        ("splits: {val: .nan}", "splits.val: "),
        ("splits: {val: 0.6, test: 0.6}", "must leave images for training"),
        ("mask_encoding: colour", "should be 'index', 'color' or 'objects'; found 'colour'"),
        ("just text", "should be a mapping, one `key: value` per line; found 'just text'"),
        ("classes: [a, b", "line 1, column 15 is not valid YAML"),
        ("a: 2020-99-99", "month must be in 1..12"),
        ("[" * 5000, "is YAML that cannot be parsed"),
        (
            "classes: !!python/object/apply:os.getcwd []",
            "is not valid YAML: could not determine a constructor",
        ),
    ],
)
def test_a_dataset_yaml_that_cannot_be_used(limner, cells, text, said):
    (cells / "dataset.yaml").write_text(text, "utf-8")
    limner("check", "data").refuses("data/dataset.yaml", said)


def test_splits_that_overlap_or_name_nothing(limner, cells):
    (cells / "dataset.yaml").write_text(TWO + "splits: {train: a.txt, val: b.txt}\n", "utf-8")
    (cells / "a.txt").write_text("cell_00\ncell_01\n", "utf-8")
    limner("check", "data").refuses("A split list is missing: data/b.txt", "one image name per line", "fix:")
    (cells / "b.txt").write_text("cell_01\ncell_02\n", "utf-8")
    limner("train", "data").refuses(
        "An image is in two splits: cell_01",
        "a.txt and in b.txt",
        "scores look better than they are",
        "fix: Remove it",
    )
    (cells / "b.txt").write_text("nothing_1\n", "utf-8")
    limner("check", "data").refuses("The val split holds no image: data/b.txt", "such as 'nothing_1'")


def test_patterns_that_fit_no_file(limner, cells):
    (cells / "dataset.yaml").write_text("images: 'images/*.png'\nmasks: 'msks/{stem}.png'\n", "utf-8")
    limner("check", "data").refuses("The pattern of `masks` in dataset.yaml matches no file: msks/{stem}.png")


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("train.stps=5", "train.stps: unknown key (did you mean 'train.steps'?)"),
        ("step=5", "step: unknown key (did you mean 'train.steps'?)"),
        ("train.steps", "--set expects KEY=VALUE"),
        ("train.steps=[1", "--set train.steps, line 1, column 3 is not valid YAML"),
        ("train.steps=many", "train.steps: should be a whole number; found 'many'"),
        ("train=5", "train: this is a section; expected some of its keys (steps"),
        ("optimizer.learning_rate=-1", "optimizer.learning_rate: should be greater than 0; found -1"),
        ("optimizer.learning_rate=.inf", "optimizer.learning_rate: should be a finite number; found inf"),
        ("optimizer.learning_rate=.nan", "optimizer.learning_rate: "),
        ("optimizer.name=adamm", "(did you mean 'adam'?)"),
        ("optimizer.betas=[2,1]", "optimizer.betas[0]: should be less than or equal to 1; found 2"),
        ("input.crop_size=[32,32,32]", "input.crop_size: expected 2 numbers (height, width)"),
        ("inference.window=[0]", "inference.window[0]: should be greater than 0; found 0"),
        ("loss.terms=[]", "loss.terms: "),
        (
            "loss.terms=[{name: dise}]",
            "loss.terms[0].name: should be one of binary_cross_entropy, binary_focal, box_set, centre_offset",
        ),
        ("loss.terms=[{name: dice, options: {smoth: 1}}]", "no option 'smoth' (did you mean 'smooth'?)"),
        ("loss.terms=[{name: dice, options: {smooth: x}}]", "loss 'dice' cannot use its options"),
        ("loss.class_weights=[1]", "loss.class_weights needs 2 numbers, one per class (background, cell)"),
        ("network.options={widhts: [4]}", "widhts: unknown key (did you mean 'widths'?)"),
        ("network.options={widths: 3}", "widths: should be a list; found 3"),
        ("data.path=x", "data: this comes from the dataset and cannot be set"),
        ("train.accumulate=3", "train: accumulate 3 must divide batch_size 4"),
    ],
)
def test_a_setting_that_cannot_be_used(limner, cells, tiny, assignment, said):
    settings = ("--set", "train.batch_size=4", "--set", assignment)
    limner("plan", "data", *tiny, *settings).refuses(said)


def test_a_multiplier_for_no_parameter(limner, cells, tiny):
    answer = limner("train", "data", *tiny, "--set", "optimizer.multipliers={encodr: 0.1}")
    answer.refuses(
        "optimizer.multipliers: no parameter of the network starts with 'encodr'",
        "Its parts are: decoder, encoder, head",
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "data", "--network", "deeplabv3pls"), "(did you mean 'deeplabv3plus'?). Known: "),
        (("train", "data", "--minutes", "0"), "greater than or equal to 0.05"),
        (("train", "data", "--minutes", "-5"), "greater than or equal to 0.05"),
        (("train", "data", "--minutes", "soon"), "'--minutes'"),
        (("plan", "data", "--minutes", "-5"), "train.minutes: should be greater than 0; found -5.0"),
        (("plan", "data", "--minutes", "inf"), "train.minutes: should be a finite number"),
        (("train", "data", "--device", "gpu"), "The device 'gpu' cannot be used here"),
        (("train", "data", "--device", "cuda:99"), "The device 'cuda:99' cannot be used here"),
        (("train",), "Specify the data: limner train DATA"),
        (("check",), "Name the folder of labelled images"),
        (("check", "data", "--workers", "0"), "'--workers'"),
        (("trian", "data"), "Did you mean 'train'?"),
        (("train", "data", "--netwrk", "unet"), "--network"),
        (("train", "data", "--resume", "runs/one"), "--resume uses the plan of the run"),
    ],
)
def test_a_command_that_cannot_be_followed(limner, cells, words, said):
    folded = limner(*words)
    folded.refuses()
    # Usage errors stand in a frame, whose border falls between the words of a folded line.
    assert said in " ".join(folded.err.replace("│", " ").split()), folded.err


def test_the_verbs_are_all_there():
    assert len(app.registered_commands) >= 9


PLANS = {
    "version: [1": "line 1, column 12 is not valid YAML",
    "": "neither a plan nor an experiment",
    "train: {steps: 5}": "found: no key `data`",
    "data: 3": "data: expected the path of the dataset folder, found 3",
    "data: nowhere": "The dataset folder in this file does not exist",
    "data: data\nnetwrok: {name: unet}": "netwrok: unknown key (did you mean 'network'?)",
    "data: data\nnetwork: unet": "network: this is a section; expected some of its keys (name",
    "data: data\ntask: detection": "The labels are not suitable for the task 'detection'",
    "data: data\ntask: sematic": "task: should be one of classification, detection, instance",
}


@pytest.mark.parametrize("text", PLANS)
def test_a_recipe_that_cannot_be_used(limner, cells, text):
    (cells.parent / "plan.yaml").write_text(text, "utf-8")
    limner("plan", "plan.yaml", "--device", "cpu").refuses(PLANS[text])


def test_a_recipe_that_is_no_text_or_not_there(limner, tmp_path):
    (tmp_path / "plan.yaml").write_bytes(b"\xff\xfe\x00")
    limner("plan", "plan.yaml").refuses("The file is not text: plan.yaml", "expected: YAML in UTF-8")
    limner("train", "nope.yaml").refuses("The file cannot be read: nope.yaml")


def test_a_plan_that_cannot_be_written(limner, cells, tiny):
    answer = limner("plan", "data", *tiny, "--out", "data")
    answer.refuses("The output would replace another file: data", "found: a folder", "fix: Choose another")


@pytest.mark.parametrize("value", ["&loop [*loop]", "*d"])
def test_aliases_without_end_are_refused(limner, cells, value):
    rows = "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 99)}]\n" for a, b in ("ab", "bc", "cd"))
    (cells / "dataset.yaml").write_text(f"a: &a [x]\n{rows}classes: {value}\n", "utf-8")
    limner("check", "data").refuses("data/dataset.yaml", "aliases")
