"""Analysis of networks: cost, speed, class activation and attention maps."""
