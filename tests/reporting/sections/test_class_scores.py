from dataclasses import replace
from pathlib import Path

from PIL import Image

from limner.evaluation.scores_file import ScoresFile
from limner.reporting.run_facts import Evaluation, RunFacts, ScoredImage
from limner.reporting.sections.class_scores import classes
from limner.reporting.sections.examples import examples
from limner.reporting.sections.headline import verdict


def facts(images=(), pictures=(), **values):
    base = {"task": "panoptic", "split": "val", "num_images": 3, "pq": 0.5, "per_image": {}}
    file = ScoresFile.model_validate(base | values)
    return RunFacts(Path("run"), evaluations=(Evaluation("val", file, images, pictures),))


SEGMENTS = [
    {"name": "car", "is_thing": True, "pq": 0.0, "false_positives": 0, "false_negatives": 2},
    {"name": "sky", "is_thing": False, "pq": None, "false_positives": 1, "false_negatives": 0},
]
ROWS = [{"iou": 0.5, "f1": 0.0, "precision": 0.0, "recall": 0.0}]


def test_an_undefined_score_has_no_empty_bar_that_looks_like_zero():
    page = str(classes(facts(classes=SEGMENTS)))
    assert page.count('class="bar"') == 1 and page.count(">–<") == 1


def test_segments_are_called_segments_and_have_no_threshold_of_scores():
    assert "It finds none of the segments." in verdict(facts(classes=SEGMENTS, f1_by_iou=ROWS))
    objects = facts(task="instance", ap=0.1, classes=[{"name": "car", "ap": 0.1}], f1_by_iou=ROWS)
    assert "none of the objects with a score of 0.5 or more" in verdict(objects)


def test_the_folds_of_a_cross_validation_have_several_models():
    of_folds = replace(facts(classes=SEGMENTS), folds=(facts(classes=SEGMENTS),) * 2)
    assert "in 2 folds, each predicted by the model that has not seen it, the models reach a" in verdict(
        of_folds
    )


def test_an_accuracy_is_not_said_twice():
    of_images = facts(
        task="classification",
        accuracy=0.75,
        classes=[{"name": "ants", "images": 2}, {"name": "bees", "images": 2}],
        confusion_matrix=[[2, 0], [1, 1]],
    )
    assert verdict(of_images) == "On 3 validation images the model reaches an accuracy of 0.750."


def test_rows_of_small_pictures_are_not_enlarged_to_the_page(tmp_path):
    def page_of(width):
        Image.new("RGB", (width, 200)).save(tmp_path / "worst-1_a.png")
        paths = [tmp_path / "worst-1_a.png"]
        return str(examples(facts([ScoredImage("a", {"pq": 0.5})], paths, classes=SEGMENTS)))

    assert 'class="pair"' in page_of(500) and 'class="strip"' in page_of(1000)


def test_brackets_are_only_explained_where_there_are_some():
    spread = {"num_images": 3, "mean": 0.5, "median": 0.5, "percentile_5": 0.5}
    values = {"classes": SEGMENTS, "per_image": {"pq": spread}}
    assert "Brackets" not in str(classes(facts(**values)))
    assert "Brackets" in str(classes(facts(**values, intervals={"pq": [0.4, 0.6]})))


def test_one_image_has_neither_lowest_nor_highest_score(tmp_path):
    path = tmp_path / "worst-1_a.png"
    Image.new("RGB", (8, 8)).save(path)
    page = str(examples(facts([ScoredImage("a", {"pq": 0.5})], [path], classes=SEGMENTS)))
    assert ">Picture<" in page and "Highest" not in page and "All 1" not in page
