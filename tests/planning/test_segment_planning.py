import pytest

from limner.core.errors import ConfigError, UnknownNameError
from limner.formats.coco.coco_instances import CocoInstances
from limner.formats.pairs.paired_folders import PairedFolders
from limner.planning.task_choice import check_labels, check_pairing


def opened(kind: type, root: str = "data"):
    source = object.__new__(kind)
    source.root = root
    return source


def test_labels_without_objects_are_refused_for_tasks_of_objects() -> None:
    check_labels(opened(PairedFolders), "semantic")
    check_labels(opened(CocoInstances), "panoptic")
    with pytest.raises(ConfigError, match=r"(?s)'instance'.*paired-folders.*coco-instances.*--task semantic"):
        check_labels(opened(PairedFolders), "instance")
    with pytest.raises(UnknownNameError, match="did you mean 'instance'"):
        check_labels(opened(PairedFolders), "instanc")


def test_boxes_alone_are_refused_in_words_of_boxes() -> None:
    source = opened(CocoInstances)
    source.tasks = ("detection",)
    with pytest.raises(ConfigError, match=r"(?s)labels are boxes.*--task detection"):
        check_labels(source, "semantic")
    check_labels(source, "detection")


def test_networks_of_label_maps_are_refused_for_objects_and_those_of_queries_fit_all() -> None:
    for task in ("semantic", "instance", "panoptic"):
        for network in ("mask2former", "maskformer", "eomt"):
            check_pairing(network, task)
    with pytest.raises(ConfigError, match="mask2former"):
        check_pairing("unet", "instance")
