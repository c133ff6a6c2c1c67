"""Mask2Former checkpoints of Hugging Face `transformers`, and of its authors' code (Detectron2).

They differ only in the names of the tensors; `tests/weights/` compares the outputs.
"""

import re

from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import Asked, CheckpointSource, Conclusions, NetworkShape, ReadNetwork
from limner.weights.renaming import Naming, rename
from limner.weights.sources.facts.image_facts import infer_normalization, infer_resize
from limner.weights.sources.facts.label_facts import infer_labels, infer_licence, infer_task
from limner.weights.sources.queries.mask2former_names import DETECTRON2, HUGGING_FACE
from limner.weights.sources.queries.mask2former_shape import infer_heads, read_shape

RECIPE = {
    "loss": {"terms": [{"name": "segment_set"}]},
    "optimizer": {"learning_rate": 1e-4, "weight_decay": 0.05, "multipliers": {"backbone": 0.1}},
    "train": {"steps": 1, "batch_size": 16, "validate_every": 1, "save_every": 1, "gradient_clip": 0.01},
}
"""The paper's settings, for continued training from the weights."""


def _infer(checkpoint: Checkpoint, shape: NetworkShape, asked: Asked) -> Conclusions:
    num_classes, backbone = shape.num_classes, shape.options["backbone"]
    task = infer_task(checkpoint, num_classes, asked.task)
    return Conclusions(
        task,
        infer_labels(checkpoint, num_classes, task.value, asked.classes),
        infer_normalization(checkpoint),
        infer_resize(checkpoint, num_classes, task.value, backbone),
        infer_licence(checkpoint, num_classes, asked.licence),
    )


def _source(naming: Naming, example: str) -> CheckpointSource:
    def recognises(checkpoint: Checkpoint) -> bool:
        return any(re.search(naming.sign, name) for name in checkpoint.tensors)

    def read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
        renamed = rename(checkpoint.tensors, naming)
        shape = read_shape(renamed.tensors, heads=infer_heads(checkpoint), where=str(checkpoint.path))
        return ReadNetwork(shape, renamed, _infer(checkpoint, shape, asked))

    return CheckpointSource(naming.title, "Mask2Former", example, recognises, read, RECIPE, infer_heads)


MASK2FORMER_HUGGING_FACE = _source(
    HUGGING_FACE, "model.transformer_module.queries_features.weight (Hugging Face)"
)
MASK2FORMER_DETECTRON2 = _source(DETECTRON2, "sem_seg_head.predictor.query_feat.weight (the authors')")
