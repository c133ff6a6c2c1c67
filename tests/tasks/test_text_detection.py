"""Text detection from folder to files, on signs that are drawn here."""

import json
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

import limner
from limner.api.browse_augmented import browse_augmented
from limner.core.errors import ConfigError, DataError
from limner.core.labels import LabelClass, LabelTable
from limner.core.plan import InferencePlan, LossPlan, LossTerm
from limner.core.prediction import WordPrediction
from limner.core.sample import Sample
from limner.core.targets import Move
from limner.core.words import Words
from limner.decoding.text_maps import find_words
from limner.drawing.drawn_words import READ
from limner.evaluation.word_scorer import WordScorer
from limner.formats import open_source
from limner.loading.collate import collate
from limner.loading.dataset import Dataset
from limner.networks import build_network
from limner.tasks import find_task
from limner.tasks.text_objective import TextCriterion, TextObjective

HEIGHT, WIDTH = 96, 128
TEXTS = ("EXIT", "Cafe", "24h", "stop", "Bus", "open")
VALIDATION = (1, 3, 5)
SETTINGS = {
    "train": {"steps": 4, "batch_size": 2, "validate_every": 2, "save_every": 2, "workers": 0},
    "network": {"options": {"backbone": "resnet18_width16", "channels": 16}, "pretrained": "no"},
    "input": {"crop_size": [64, 64]},
}


def sign(number):
    """A picture with two words, and its lines in ICDAR's format; every fourth has none or a "###"."""
    rng = np.random.default_rng(number)
    picture = rng.integers(60, 120, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    if number % 4 == 3:
        return picture, ["20,20,60,20,60,40,20,40,###"] if number % 8 == 7 else []
    lines = []
    for row in range(2):
        text, left, base = TEXTS[rng.integers(len(TEXTS))], int(rng.integers(6, 40)), 36 + 40 * row
        (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 0.9, 2)
        cv2.putText(
            picture, text, (left, base), cv2.FONT_HERSHEY_DUPLEX, 0.9, (250, 250, 250), 2, cv2.LINE_AA
        )
        top, right, bottom = base - height - 2, left + width, base + below // 2
        corners = [left, top, right, top, right, bottom, left, bottom]
        lines.append(",".join(map(str, corners)) + f",{text}")
    return picture, lines


@pytest.fixture(scope="module")
def signs(tmp_path_factory):
    root = tmp_path_factory.mktemp("signs") / "data"
    for number in range(12):
        picture, lines = sign(number)
        folder = root / ("val" if number in VALIDATION else "train")
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"img_{number}.png"), picture)
        (folder / f"gt_img_{number}.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return root


@pytest.fixture(scope="module")
def run(signs, tmp_path_factory):
    return limner.train(
        signs,
        run=tmp_path_factory.mktemp("text") / "run",
        task="text-detection",
        settings=SETTINGS,
        device="cpu",
    )


def test_a_run_has_scores_pictures_and_a_report(run):
    scores = json.loads((run.evaluation("val") / "scores.json").read_text())
    assert scores["task"] == "text-detection" and 0 <= scores["hmean"] <= 1
    assert scores["classes"][0]["words"] > 0
    assert "ICDAR 2015" in scores["definitions"]["hmean"]
    assert list((run.evaluation("val") / "pictures").glob("*.png"))
    assert "H-mean" in run.report.read_text()
    assert "val/hmean" in run.metrics.read_text()


def test_words_are_written_as_icdar_and_mmocr_read_them(run, signs, tmp_path):
    predictor = limner.load(run.model, device="cpu")
    predictor.task.predict = lambda runs, **_: find_words(
        np.pad(np.full((12, 40), 0.9, np.float32), ((20, HEIGHT - 32), (30, WIDTH - 70))), runs.size, name="a"
    )
    try:
        found = limner.predict(
            predictor, [signs / "train" / "img_0.png", signs / "val" / "img_1.png"], out=tmp_path / "out"
        )
    finally:
        del predictor.task.predict
    (line,) = found.masks[0].read_text().splitlines()
    assert found.masks[0].name == "res_img_0.txt" and len(line.split(",")) == 8
    assert cv2.imread(str(tmp_path / "out" / "overlays" / "img_0.png")).shape == (HEIGHT, WIDTH, 3)
    rows = json.loads(found.json.read_text())["data_list"]
    assert [row["instances"][0]["score"] for row in rows] == pytest.approx([0.9, 0.9])
    source = open_source(found.json.parent)
    assert source.name == "mmocr-text"


def test_words_are_cut_out_and_scored_from_their_files(run, signs, tmp_path):
    predictor = limner.load(run.model, device="cpu")
    truth = open_source(signs)
    polygons = {str(r.image): truth.read_words(r).polygons for r in truth.records}
    predictor.task.predict = lambda runs, *, name, **_: WordPrediction(
        name, polygons[name], np.ones(len(polygons[name]), np.float32)
    )
    try:
        limner.predict(predictor, signs, out=tmp_path / "out", formats=["cutouts"])
    finally:
        del predictor.task.predict
    cut = tmp_path / "out" / "cutouts"
    assert len(list(cut.rglob("img_0/*.png"))) == 2 and cv2.imread(str(next(cut.rglob("img_0/1.png")))).size
    scored = limner.evaluate(predictions=tmp_path / "out", data=signs, out=tmp_path / "scores").scores
    assert dict(scored.items()) == {"hmean": 1, "word_precision": 1, "word_recall": 1, "deteval_hmean": 1}


def test_evaluation_and_comparisons_use_the_labels(run, signs, tmp_path):
    evaluated = limner.evaluate(run.model, data=signs, out=tmp_path / "scores", device="cpu")
    assert evaluated.scores.num_images == 12 and len(evaluated.pictures) > 0
    limner.predict(
        run.model, signs / "train" / "img_0.png", out=tmp_path / "out", compare=signs, device="cpu"
    )
    assert (tmp_path / "out" / "comparisons" / "img_0.png").is_file()


def test_augmented_crops_show_their_words(signs):
    # OpenCV before 5 writes wider letters, so that no whole word fits into crops of 64 pixels.
    wider = {"crop_size": [96, 96]}
    settings = {
        "task": "text-detection",
        "augment": {"foreground_probability": 1.0},
        **SETTINGS,
        "input": wider,
    }
    found = browse_augmented(signs, mode="final", settings=settings)
    assert (found.picture == READ).all(-1).any()


def test_windows_and_zooms_are_averaged_and_probabilities_are_refused(run, signs, tmp_path):
    for settings in (InferencePlan(window=(64, 64)), InferencePlan(scales=(0.5, 1.0))):
        predictor = limner.load(run.model, device="cpu")
        predictor.settings = settings
        predictor.predict(signs / "train" / "img_0.png")
    with pytest.raises(ConfigError, match="Omit --probabilities"):
        limner.predict(run.model, signs / "train" / "img_0.png", out=tmp_path, probabilities=True)


def test_only_illegible_words_are_not_trained(make_tree, tmp_path):
    picture = sign(0)[0]
    root = make_tree(
        {f"{name}.txt": "20,20,60,20,60,40,20,40,###\n" for name in "abcd"}
        | {f"{n}.png": picture for n in "abcd"}
    )
    with pytest.raises(DataError, match="nothing but background"):
        limner.train(root, run=tmp_path / "run", task="text-detection", settings=SETTINGS, device="cpu")


def test_only_networks_of_text_are_trained(signs, tmp_path):
    with pytest.raises(ConfigError, match="cannot be trained for the task 'text-detection'"):
        limner.train(signs, run=tmp_path / "run", task="text-detection", network="unet", device="cpu")


@pytest.mark.parametrize(
    "losses", [(LossTerm(name="dice"),), (LossTerm(name="differentiable_binarization"),) * 2]
)
def test_other_losses_are_refused(losses):
    with pytest.raises(ConfigError, match="differentiable_binarization"):
        TextCriterion(LossPlan(terms=losses))


@pytest.mark.long
def test_overfits_four_images(signs):
    source = open_source(signs)
    records = [record for record in source.records if record.image.stem in {f"img_{n}" for n in (0, 1, 2, 4)}]
    overfit("dbnet", list(Dataset(source, records, source.declared_labels(), targets=(Words,))))


CROP = (160, 256)
PLACES = {"img_1": (360, 100), "img_3": (50, 60), "img_8": (530, 330), "img_10": (640, 90)}
"""Left and top of crops of photographs; their legible words are 13 to 52 pixels high."""


@pytest.mark.long
@pytest.mark.parametrize("name", ["dbnet", "dbnetplusplus"])
def test_overfits_four_photographs(shared_data, name):
    """In about 100 steps."""
    overfit(name, list(photographs(shared_data / "scene_text")))


def photographs(root):
    source = open_source(root)
    records = [record for record in source.records if record.image.stem in PLACES]
    for sample in Dataset(source, records, source.declared_labels(), targets=(Words,)):
        left, top = PLACES[sample.name.rpartition("/")[2]]
        crop = slice(top, top + CROP[0]), slice(left, left + CROP[1])
        move = Move(CROP, lambda labels, _, crop=crop: labels[crop], lambda xy, at=(left, top): xy - at)
        yield Sample(sample.name, sample.image[crop], (sample.get(Words).moved(move),))


def overfit(name, samples: list[Sample]):
    torch.manual_seed(0)
    began = time.process_time()
    batch = collate(samples)
    images = (batch.images.float() - 100) / 60
    network = build_network(name, num_classes=1, channels=64)
    criterion = TextCriterion(LossPlan(terms=(LossTerm(name="differentiable_binarization"),)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=TextObjective.optimizer.rate(from_scratch=True))
    reached = 0.0
    while time.process_time() - began < 150 and reached <= 0.9:
        for _ in range(20):
            optimizer.zero_grad()
            criterion.loss(network.train()(images), batch).total.backward()
            optimizer.step()
        reached = hmean(network, images, samples)
    assert reached > 0.9


def hmean(network, images, samples: list[Sample]):
    scorer = WordScorer(LabelTable((LabelClass("text", (1,), (0, 0, 0), True),)))
    with torch.no_grad():
        maps = network.eval()(images).logits.sigmoid()[:, 0].numpy()
    for each, sample in zip(maps, samples, strict=True):
        scorer.score(find_words(each, sample.spatial_shape, name=sample.name), sample)
    return dict(scorer.compute().items())["hmean"]


@pytest.mark.parametrize(("least", "found"), [(0.6, 0), (0.3, 1)])
def test_words_count_from_the_score_of_the_plan(monkeypatch, least, found):
    probabilities = np.zeros((60, 80), np.float32)
    probabilities[20:30, 20:60] = 0.4
    monkeypatch.setattr("limner.decoding.text_maps.mean_probability_array", lambda runs: probabilities)
    runs = SimpleNamespace(size=(60, 80), settings=InferencePlan(word_score=least))
    task, labels = find_task("text-detection"), LabelTable((LabelClass("text", (1,), (255, 0, 0)),))
    words = task.predict_arrays(runs, name="a", labels=labels, probabilities=False)
    assert len(words.polygons) == found
