"""One file a loss: tensors in, scalar out."""
