"""Networks of nnU-Net and MONAI, mostly for volumes."""
