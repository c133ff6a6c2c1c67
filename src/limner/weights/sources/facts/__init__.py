"""What several sources infer in the same way: backbones, classes, normalisation, sizes."""
