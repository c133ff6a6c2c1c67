"""Transforms of samples, one file each: draw random parameters, then apply exactly these."""
