import cv2
import numpy as np

from limner.core.augment_plan import AugmentPlan
from limner.core.label_map import LabelMap
from limner.core.plan import InputPlan
from limner.core.sample import Record, Sample
from limner.formats import open_source
from limner.loading.dataset import Dataset
from limner.loading.pseudo_labelled import PREFIX, JoinedDataset, PseudoLabelled, build_views
from limner.transforms.erasing import Erasing
from limner.transforms.random_changes import RandomChanges


def test_labelled_images_come_first_and_names_do_not_collide(cells, two_labels, tmp_path) -> None:
    source = open_source(cells)
    records = [record for record in source.records if record.labels]
    labels = np.full((40, 50), 255, np.uint8)
    labels[:3], labels[3:5] = 1, 0
    cv2.imwrite(str(tmp_path / "labels.png"), labels)
    own = Record(f"{PREFIX}{records[0].name}", records[0].image, (tmp_path / "labels.png",))
    pseudo = PseudoLabelled(source, [own], two_labels)
    joined = JoinedDataset(Dataset(source, records, two_labels), pseudo)
    assert len(joined) == len(records) + 1 == len(joined.records)
    assert [joined.name_of(n) for n in range(len(joined))] == [record.name for record in joined.records]
    np.testing.assert_array_equal(joined[0].image, joined[len(records)].image)
    np.testing.assert_array_equal(joined[len(records)].get(LabelMap).labels, labels)
    assert set(np.unique(joined[0].get(LabelMap).labels)) == {0, 1}


def test_only_images_with_pseudo_labels_are_changed_strongly(two_labels) -> None:
    plan = InputPlan(channels=3, crop_size=(32, 32), mean=(0.0,) * 3, std=(1.0,) * 3)
    still = AugmentPlan(scale=(1, 1), flip_axes=(), brightness=0, contrast=0, saturation=0, hue=0)
    views = build_views(still, plan, two_labels)
    kinds = [{type(one) for one in pipeline.transforms} for pipeline in (views.weak, views.strong)]
    assert kinds[1] - kinds[0] == {RandomChanges, Erasing}
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    target = LabelMap(np.zeros((32, 32), np.uint8))
    changed = []
    for name in ("cell", f"{PREFIX}cell"):
        sample = Sample(name, image, (target,))
        found = [views(sample, np.random.default_rng(seed)).image for seed in range(8)]
        changed.append([not np.array_equal(one, image) for one in found])
    assert not any(changed[0])
    assert sum(changed[1]) >= 6
