"""Sample to sample, one file a transform: draw the parameters, then apply them exactly."""
