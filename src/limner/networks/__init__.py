"""One file per architecture; `NETWORKS` is the table of contents."""

from typing import Any

from torch import nn

from limner.core.config import parse_config
from limner.core.errors import ConfigError, UnknownNameError, describe
from limner.networks import (
    ann,
    bisenetv1,
    bisenetv2,
    caranet,
    ccnet,
    classifier,
    danet,
    dbnet,
    dbnetplusplus,
    deeplabv3,
    deeplabv3plus,
    deformable_detr,
    denseaspp,
    dpt,
    emanet,
    encoder_unet,
    encoder_unetplusplus,
    enet,
    eomt,
    espnet,
    fcn,
    fcn8s,
    fcos,
    gcn,
    gff,
    infnet,
    linknet,
    lraspp,
    manet,
    mask2former,
    maskformer,
    nnunet,
    nnunet_resenc,
    ocnet,
    ocrnet,
    pan,
    panoptic_deeplab,
    per_pixel,
    pranet,
    psanet,
    pspnet,
    pspnet_shallow,
    residual_unet,
    resunet,
    resunetplusplus,
    rtdetr,
    segformer,
    segnet,
    segresnet,
    semantic_fpn,
    setr,
    swinunetr,
    transunet,
    unet,
    unet3d,
    unet_centres,
    unetplusplus,
    unetr,
    upernet,
    vit,
    vnet,
)
from limner.networks.backbones import Pretrained
from limner.networks.entry import NetworkEntry

__all__ = ["NETWORKS", "NetworkEntry", "Pretrained", "build_network"]

NETWORKS: dict[str, NetworkEntry] = {
    "fcn": fcn.ENTRY,
    "fcn8s": fcn8s.ENTRY,
    "unet": unet.ENTRY,
    "unet3d": unet3d.ENTRY,
    "nnunet": nnunet.ENTRY,
    "nnunet-resenc": nnunet_resenc.ENTRY,
    "vnet": vnet.ENTRY,
    "segresnet": segresnet.ENTRY,
    "residual-unet": residual_unet.ENTRY,
    "unetr": unetr.ENTRY,
    "swinunetr": swinunetr.ENTRY,
    "segnet": segnet.ENTRY,
    "resunet": resunet.ENTRY,
    "unetplusplus": unetplusplus.ENTRY,
    "resunetplusplus": resunetplusplus.ENTRY,
    "encoder-unet": encoder_unet.ENTRY,
    "encoder-unetplusplus": encoder_unetplusplus.ENTRY,
    "semantic-fpn": semantic_fpn.ENTRY,
    "gcn": gcn.ENTRY,
    "pspnet": pspnet.ENTRY,
    "pspnet-shallow": pspnet_shallow.ENTRY,
    "deeplabv3": deeplabv3.ENTRY,
    "deeplabv3plus": deeplabv3plus.ENTRY,
    "denseaspp": denseaspp.ENTRY,
    "psanet": psanet.ENTRY,
    "pan": pan.ENTRY,
    "upernet": upernet.ENTRY,
    "ocnet": ocnet.ENTRY,
    "ocrnet": ocrnet.ENTRY,
    "danet": danet.ENTRY,
    "ccnet": ccnet.ENTRY,
    "ann": ann.ENTRY,
    "emanet": emanet.ENTRY,
    "gff": gff.ENTRY,
    "enet": enet.ENTRY,
    "linknet": linknet.ENTRY,
    "lraspp": lraspp.ENTRY,
    "espnet": espnet.ENTRY,
    "bisenetv1": bisenetv1.ENTRY,
    "bisenetv2": bisenetv2.ENTRY,
    "pranet": pranet.ENTRY,
    "infnet": infnet.ENTRY,
    "caranet": caranet.ENTRY,
    "manet": manet.ENTRY,
    "setr": setr.ENTRY,
    "segformer": segformer.ENTRY,
    "transunet": transunet.ENTRY,
    "vit": vit.ENTRY,
    "dpt": dpt.ENTRY,
    "per-pixel": per_pixel.ENTRY,
    "maskformer": maskformer.ENTRY,
    "mask2former": mask2former.ENTRY,
    "eomt": eomt.ENTRY,
    "panoptic-deeplab": panoptic_deeplab.ENTRY,
    "unet-centres": unet_centres.ENTRY,
    "dbnet": dbnet.ENTRY,
    "dbnetplusplus": dbnetplusplus.ENTRY,
    "fcos": fcos.ENTRY,
    "deformable-detr": deformable_detr.ENTRY,
    "rtdetr": rtdetr.ENTRY,
    "classifier": classifier.ENTRY,
    "linear-probe": classifier.PROBE_ENTRY,
}


def build_network(
    name: str,
    *,
    num_classes: int,
    in_channels: int = 3,
    spatial_dims: int | None = None,
    pretrained: Pretrained = False,
    **options: Any,
) -> nn.Module:
    """Build a network by name, with random weights or a pretrained encoder.

    Args:
        name: A row of `NETWORKS`.
        num_classes: Number of output classes.
        in_channels: Number of image channels.
        spatial_dims: 2 for images, 3 for volumes; defaults to the network's own.
        pretrained: Encoder weights. False or ``"no"``: random; ``"auto"``: pretrained if available; True or
            ``"yes"``: pretrained, or an error if unavailable; or the path of a weight file.
        options: The network's own options; `NETWORKS[name].options` documents them.

    Returns:
        A module that takes normalised float images (B, C, *S) of any size from 33 pixels a side and
        returns the output kind of its row.

    Raises:
        UnknownNameError: The network does not exist.
        ConfigError: An option is unknown or out of range, or the network does not support these dimensions.
    """
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    entry = NETWORKS[name]
    _check(name, entry, num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims)
    arguments: dict[str, Any] = {"num_classes": num_classes, "in_channels": in_channels}
    if entry.spatial_dims != (2,):
        arguments["spatial_dims"] = spatial_dims or entry.spatial_dims[0]
    if entry.pretrained:
        arguments["pretrained"] = pretrained
    elif pretrained not in (False, "no", "auto"):
        with_encoder = ", ".join(sorted(key for key, row in NETWORKS.items() if row.pretrained))
        raise ConfigError(
            describe(
                f"The network {name!r} has no encoder with pretrained weights",
                found=f"pretrained = {pretrained}",
                fix=f"Set pretrained to no, or choose a network with an encoder: {with_encoder}.",
            )
        )
    settings = parse_config(entry.options, options, where=f"The network {name!r}")
    return entry.build(settings, **arguments)


def network_settings(name: str) -> dict[str, Any]:
    """Return the settings of a plan for ``network`` or ``network/variant``.

    Raises:
        UnknownNameError: The network or the variant is unknown.
        ConfigError: It is an encoder alone, as other libraries call their classifiers.
    """
    network, _, variant = name.partition("/")
    if network not in NETWORKS:
        on_it = sorted(f"{key}/{network}" for key, row in NETWORKS.items() if network in row.variants)
        if on_it and not variant:
            raise ConfigError(f"{network!r} is an encoder. Choose a network on it: {', '.join(on_it)}.")
        raise UnknownNameError("network", network, NETWORKS)
    variants = NETWORKS[network].variants
    if variant and variant not in variants:
        raise UnknownNameError(f"variant of {network}", variant, variants)
    options = dict(variants[variant]) if variant else {}
    return {"network": {"name": network, "options": options} if options else {"name": network}}


def _check(
    name: str, entry: NetworkEntry, *, num_classes: int, in_channels: int, spatial_dims: int | None
) -> None:
    for what, number in (("num_classes", num_classes), ("in_channels", in_channels)):
        if number < 1:
            raise ConfigError(f"{what} must be 1 or more; found {number}.")
    if spatial_dims is not None and spatial_dims not in entry.spatial_dims:
        able = ", ".join(sorted(key for key, row in NETWORKS.items() if spatial_dims in row.spatial_dims))
        raise ConfigError(
            describe(
                f"The network {name!r} cannot be built in {spatial_dims} dimensions",
                expected=" or ".join(f"spatial_dims = {dims}" for dims in entry.spatial_dims),
                fix=f"Networks with {spatial_dims} spatial dimensions: {able or 'none'}.",
            )
        )
