"""nn blocks that two or more networks share, in 2D and 3D by `spatial_dims`."""
