import math

from limner.core.score_names import NOTES, SCORES, Shown, explained, shown


def test_every_score_has_words_and_a_definition_of_whole_sentences():
    for name, score in (SCORES | NOTES).items():
        assert score.words and score.definition.endswith("."), name
        assert score.title[0].isupper() and score.column[0].isupper(), name
    titles = [score.title for score in (SCORES | NOTES).values()]
    assert len({*titles}) == len(titles)


def test_a_count_has_a_unit_and_no_best_value_unless_it_is_an_error():
    for name, score in SCORES.items():
        assert score.best in ((0.0, None) if score.unit else (0.0, 1.0, None)), name


def test_every_score_is_shown_somewhere_or_named_where_thresholds_are():
    hidden = {n for n, score in SCORES.items() if score.shown == Shown.NOWHERE and not score.by_class}
    assert hidden == {"calibration_error", "best_threshold", "best_dice"}  # all of thresholds


def test_the_order_is_that_of_the_caller_then_of_the_table():
    values = {"pixel_accuracy": 0.9, "mean_iou": 0.5, "frequency_weighted_iou": 0.8, "iou": 0.4, "else": 1.0}
    assert shown(values) == ["mean_iou", "pixel_accuracy"]
    assert shown(values, first=["pixel_accuracy"]) == ["pixel_accuracy", "mean_iou"]
    assert shown(values, least=Shown.COMPARED)[-1] == "frequency_weighted_iou"
    assert shown(values, first=["frequency_weighted_iou"])[0] == "frequency_weighted_iou"


def test_what_does_not_exist_is_not_shown():
    assert shown({"mean_iou": None, "mean_dice": math.nan, "pixel_accuracy": 0.0}) == ["pixel_accuracy"]


def test_definitions_come_in_the_order_of_the_table():
    assert list(explained(["absent", "dice", "mean_iou", "unheard of"])) == ["mean_iou", "dice", "absent"]
