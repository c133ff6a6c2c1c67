"""Distillation of features: a layer of the student learns where channels of a layer of its teacher respond.

Shu et al., "Channel-wise Knowledge Distillation for Dense Prediction", ICCV 2021 (arXiv:2011.13256), section
3.2: a 1x1 convolution maps the student's channels to the teacher's, since their numbers differ. It is trained
with the student, and is no part of it.

Shape legend: B batch, F and G channels of the layers of student and teacher, *s and *t their spatial axes.
"""

import torch
from torch import Tensor, nn

from limner.core.errors import ConfigError
from limner.core.outputs import resize_logits
from limner.losses.distill_cwd import ChannelWiseLoss


class FeatureLoss(nn.Module):
    """`ChannelWiseLoss` of two layers, after a 1x1 convolution of the student's.

    Raises:
        ConfigError: The temperature is not positive, or a name is empty.

    Attributes:
        adapter: The convolution; None until `adapt`.
    """

    def __init__(self, *, student: str = "", teacher: str = "", temperature: float = 1.0) -> None:
        """Build the loss.

        Args:
            student: Name of a layer of the student, such as ``encoder.layer4``.
            teacher: Name of a layer of the teacher.
            temperature: As of `ChannelWiseLoss`.
        """
        super().__init__()
        if not student or not teacher:
            raise ConfigError(
                "distill_features: name a layer of the student and one of the teacher, such as options: "
                "{student: encoder.layer4, teacher: backbone.layer4}."
            )
        self.student = student
        self.teacher = teacher
        self.distance = ChannelWiseLoss(temperature=temperature)
        self.adapter: nn.Module | None = None

    def adapt(self, student: Tensor, teacher: Tensor) -> None:
        """Make the convolution for two layers.

        Args:
            student: (1, F, *s) of the student's layer.
            teacher: (1, G, *t) of the teacher's.
        """
        convolution = nn.Conv2d if student.ndim == 4 else nn.Conv3d
        self.adapter = convolution(student.shape[1], teacher.shape[1], 1).to(student.device)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the scalar loss, at the resolution of the teacher's layer.

        Args:
            student: (B, F, *s).
            teacher: (B, G, *t), without gradient.
        """
        assert self.adapter is not None, "the layers are known before training"
        adapted = resize_logits(self.adapter(student.float()), teacher.shape[2:])
        everywhere = torch.ones_like(teacher[:, 0], dtype=torch.bool)
        loss: Tensor = self.distance(adapted, teacher.float(), everywhere)
        return loss
