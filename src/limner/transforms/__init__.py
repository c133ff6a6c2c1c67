"""Transforms of samples, one file each: draw random parameters, then apply them deterministically."""
