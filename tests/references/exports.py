"""Folders of exports for tests, whose network is elsewhere."""

from limner.core.plan_text import plan_to_yaml
from limner.core.yaml_text import dump_yaml
from limner.weights.card import file_sha256
from limner.weights.exported import ExportCard


def write_export(
    folder,
    plan,
    labels,
    *,
    kind="DenseLogits",
    shape=("batch", 3, "height", "width"),
    runtime="onnx",
    outputs=("logits",),
):
    """An export folder whose network is elsewhere."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"a network")
    (folder / "plan.yaml").write_text(plan_to_yaml(plan), "utf-8")
    (folder / "labels.yaml").write_text(dump_yaml(labels.to_dict()), "utf-8")
    card = ExportCard(
        limner="0",
        runtime=runtime,
        file="model.onnx",
        kind=kind,
        inputs={"shape": list(shape)},
        outputs=dict.fromkeys(outputs, ""),
        classes=[],
        weights_sha256="",
        sha256={name: file_sha256(folder / name) for name in ("model.onnx", "plan.yaml", "labels.yaml")},
        agreement={},
    )
    (folder / "export.json").write_text(card.model_dump_json(), "utf-8")
    return folder
