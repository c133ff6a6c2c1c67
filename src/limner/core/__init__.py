"""The shared words of limner: what crosses from one folder to another. No disk, no nn.Module."""
