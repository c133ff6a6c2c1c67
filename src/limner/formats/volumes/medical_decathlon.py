"""The Medical Segmentation Decathlon: imagesTr/, labelsTr/, imagesTs/ and a dataset.json."""

from pathlib import Path

from limner.formats.file_tree import FileTree
from limner.formats.pairs.known_layout import Known, KnownLayout
from limner.formats.volumes.dataset_json import has_dataset_json, read_dataset_json


class MedicalDecathlon(KnownLayout):
    """``imagesTr/spleen_2.nii.gz`` and ``labelsTr/spleen_2.nii.gz``; a fourth axis holds the channels."""

    name = "medical-decathlon"
    title = "Medical Segmentation Decathlon: imagesTr/, labelsTr/ with volumes of equal names, dataset.json"

    @classmethod
    def known(cls, root: Path, tree: FileTree) -> Known | None:
        """Recognise the layout by its folders and its dataset.json."""
        folders = {folder.name for folder in tree.images_in}
        if not has_dataset_json(tree) or not {"imagesTr", "labelsTr"} <= folders:
            return None
        read = read_dataset_json(root)
        channels = f" of {', '.join(read.channels)}" if read.channels else ""
        evidence = f"imagesTr/ and labelsTr/{channels}, with the classes {', '.join(read.labels.names)}"
        return Known(f"Medical Segmentation Decathlon, by dataset.json: {evidence}", read.labels)
