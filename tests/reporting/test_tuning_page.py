import csv
import io
import math
from dataclasses import replace

import pytest
import yaml

from limner.core.tuning import RateTest, Trial, Tuning
from limner.reporting.tuning_page import render_recipe, render_table, render_tuning, verdict_on_rates

RATES = tuple(10.0 ** (i / 4 - 7) for i in range(32))
LOSSES = tuple(1 - i / 40 for i in range(24)) + (0.6, 0.9, 1.5, 3.0, 9.0, 30.0, 90.0, math.inf)


@pytest.fixture
def tuning(tmp_path):
    """Five candidates, of which the second wins; one failed."""
    rates = (0.001, 0.01, 0.0001, 0.003, 0.03)
    scores = (0.7, 0.8, 0.5, 0.6, None)
    trials = [
        Trial(1, n, n, 1.0, {"optimizer.learning_rate": r, "schedule.name": "poly"}, score=s, steps=40)
        for n, (r, s) in enumerate(zip(rates, scores, strict=True), start=1)
    ]
    trials[4] = replace(trials[4], steps=None, problem="Memory <ran> out")
    for number, (candidate, value) in enumerate(((2, 0.85), (1, 0.9)), start=1):
        own = trials[candidate - 1].settings
        trials.append(Trial(2, number, candidate, 2.5, own, score=value, steps=100))
    test = RateTest(RATES, LOSSES, LOSSES, planned=0.001, diverged=True)
    return Tuning(tmp_path, "/data/cells", "foreground_dice", test, tuple(trials), num_images=28)


def test_the_page_says_what_was_found(tuning):
    page = render_tuning(tuning, method="spread evenly")
    assert "No candidate beat the unchanged plan: its foreground Dice is 0.900." in page
    assert "Memory &lt;ran&gt; out" in page
    assert page.count("<tr") == 1 + len(tuning.trials)
    assert "Foreground Dice by optimizer.learning_rate" in page
    assert "Foreground Dice by schedule.name" not in page  # words are no axis
    other = replace(tuning, trials=tuning.trials[:-1])
    assert "The unchanged plan was eliminated in a shorter round." in render_tuning(other)
    unfinished = replace(tuning, trials=(*tuning.trials[:-1], replace(tuning.trials[-1], score=None)))
    assert "1 trial not finished: run the same command again to continue." in render_tuning(unfinished)


def test_a_search_without_scores_and_a_test_alone_have_pages(tuning):
    failed = replace(tuning, trials=tuning.trials[4:5], rate_test=None)
    assert "No trial has a score yet." in render_tuning(failed)
    alone = render_tuning(replace(tuning, trials=()))
    assert "Loss by learning rate" in alone and 'id="trials"' not in alone


def test_the_table_and_the_recipe_hold_the_settings(tuning):
    rows = list(csv.DictReader(io.StringIO(render_table(tuning))))
    assert [row["optimizer.learning_rate"] for row in rows[:2]] == ["0.001", "0.01"]
    assert rows[4]["foreground_dice"] == "" and rows[4]["problem"] == "Memory <ran> out"
    text = render_recipe(tuning, {"optimizer": {"learning_rate": 0.001}, "reasons": {"x": "y"}})
    assert yaml.safe_load(text) == {"data": "/data/cells", "optimizer": {"learning_rate": 0.001}}
    assert "0.900 on 28 validation images" in text


def test_the_verdict_on_rates(tuning):
    # The lowest loss, 1 - 23 / 40, is at 10 ** (23 / 4 - 7) = 0.056.
    assert "Try a learning rate of 0.0056; the plan has 0.001." in verdict_on_rates(tuning.rate_test)
    rising = replace(tuning.rate_test, smoothed=tuple(range(32)))
    assert "hardly fell" in verdict_on_rates(rising)
    falling = replace(tuning.rate_test, smoothed=tuple(range(32, 0, -1)), diverged=False)
    assert "still falling" in verdict_on_rates(falling)
