"""Supported checkpoints of other projects; `SOURCES` lists them."""

from collections.abc import Mapping

from limner.weights.checkpoint_source import CheckpointSource
from limner.weights.sources.classes.classifiers import CLASSIFIERS
from limner.weights.sources.pixels.authors_networks import AUTHORS_NETWORKS
from limner.weights.sources.pixels.beit_checkpoints import BEIT_HUGGING_FACE, BEIT_MMSEGMENTATION
from limner.weights.sources.pixels.dpt_checkpoints import DPT_HUGGING_FACE, DPT_SMP
from limner.weights.sources.pixels.milesial import MILESIAL
from limner.weights.sources.pixels.mmseg import MMSEG
from limner.weights.sources.pixels.mmseg_vits import MMSEG_VITS
from limner.weights.sources.pixels.mmseg_whole_networks import MMSEG_WHOLE_NETWORKS
from limner.weights.sources.pixels.smp import SMP
from limner.weights.sources.pixels.torchvision_models import TORCHVISION
from limner.weights.sources.pixels.transformers_models import SEGFORMER_HUGGING_FACE, UPERNET_HUGGING_FACE
from limner.weights.sources.queries.deformable_detr_checkpoints import (
    DEFORMABLE_DETR_AUTHORS,
    DEFORMABLE_DETR_HUGGING_FACE,
    DEFORMABLE_DETR_MMDET,
)
from limner.weights.sources.queries.eomt_checkpoints import EOMT_HUGGING_FACE
from limner.weights.sources.queries.mask2former_checkpoints import (
    MASK2FORMER_DETECTRON2,
    MASK2FORMER_HUGGING_FACE,
)
from limner.weights.sources.queries.maskformer_checkpoints import MASKFORMER_HUGGING_FACE
from limner.weights.sources.queries.mmdet_segments import MMDET_SEGMENTS
from limner.weights.sources.queries.rtdetr_checkpoints import RTDETR_HUGGING_FACE
from limner.weights.sources.volumes.monai import MONAI
from limner.weights.sources.volumes.nnunet_results import NNUNET
from limner.weights.sources.words.dbnet_checkpoints import DBNET_AUTHORS, DBNET_MMOCR

SOURCES: Mapping[str, CheckpointSource] = {
    "mask2former-hugging-face": MASK2FORMER_HUGGING_FACE,
    "mask2former-detectron2": MASK2FORMER_DETECTRON2,
    "maskformer-hugging-face": MASKFORMER_HUGGING_FACE,
    "eomt-hugging-face": EOMT_HUGGING_FACE,
    "dpt-hugging-face": DPT_HUGGING_FACE,
    "beit-hugging-face": BEIT_HUGGING_FACE,
    "segformer-hugging-face": SEGFORMER_HUGGING_FACE,
    "upernet-hugging-face": UPERNET_HUGGING_FACE,
    "rtdetr-hugging-face": RTDETR_HUGGING_FACE,
    "deformable-detr-hugging-face": DEFORMABLE_DETR_HUGGING_FACE,
    "deformable-detr-mmdetection": DEFORMABLE_DETR_MMDET,
    "deformable-detr-authors": DEFORMABLE_DETR_AUTHORS,
    "mmdetection": MMDET_SEGMENTS,
    "torchvision": TORCHVISION,
    "dpt-segmentation-models-pytorch": DPT_SMP,
    "segmentation-models-pytorch": SMP,
    "beit-mmsegmentation": BEIT_MMSEGMENTATION,
    "mmsegmentation-whole-networks": MMSEG_WHOLE_NETWORKS,
    "mmsegmentation-vits": MMSEG_VITS,
    "mmsegmentation": MMSEG,
    "milesial-unet": MILESIAL,
    "nnunet": NNUNET,
    "monai": MONAI,
    "mmocr": DBNET_MMOCR,
    "dbnet-authors": DBNET_AUTHORS,
    **AUTHORS_NETWORKS,
    **CLASSIFIERS,
}
"""All supported kinds of checkpoints, in the order in which they are tried."""
