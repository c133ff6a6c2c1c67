"""Building blocks shared by several networks; 2D or 3D by `spatial_dims`."""
