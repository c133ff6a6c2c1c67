"""Limits of the service."""

from dataclasses import dataclass

from limner.core.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """Limits of the service; everything beyond them is refused before it costs time or memory.

    Attributes:
        max_megabytes: Maximum size of the body of a request, in 10^6 bytes.
        max_pixels: Maximum number of pixels (or voxels) of an image, by its header, before it is decoded.
        queue: Maximum number of requests that are received, waiting or computed at the same time.
        timeout: Maximum time in seconds of receiving a request, and again of waiting and computing.
    """

    max_megabytes: float = 64.0
    max_pixels: int = 100_000_000
    queue: int = 128
    timeout: float = 60.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ConfigError(f"The limit {name} of the service must be more than 0; found {value}.")

    @property
    def max_bytes(self) -> int:
        """Maximum size of the body of a request in bytes."""
        return int(self.max_megabytes * 1e6)
