"""Address of the service: on this machine alone unless there is a token."""

import errno
import ipaddress
import socket

from limner.core.errors import ConfigError, describe

BACKLOG = 2048
"""Number of connections that the system holds until they are accepted."""


def is_loopback(host: str) -> bool:
    """Tell whether only programs on this machine can reach an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def refuse_open_address(host: str, token: str | None) -> None:
    """Refuse to serve other machines without a token.

    Raises:
        ConfigError: There is none, and `host` is no loopback address.
    """
    if token is None and not is_loopback(host):
        raise ConfigError(
            describe(
                "Other machines could use the service without a token",
                found=f"--host {host}",
                expected="a loopback address, such as 127.0.0.1, or a token",
                fix="Add --token-file FILE with a long random line; clients send it as "
                "`Authorization: Bearer TOKEN`.",
            )
        )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address; port 0 is any free one.

    Raises:
        ConfigError: There is no such address on this machine, or its port is in use.
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise _no_address(host, str(error)) from None
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise _port_taken(host, port, error) from None
        raise _no_address(host, error.strerror or str(error)) from None
    return listening


def url_of(listening: socket.socket) -> str:
    """Return the URL of the service at a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _no_address(host: str, found: str) -> ConfigError:
    return ConfigError(
        describe(
            "The service cannot listen at this address",
            found=f"--host {host}: {found}",
            expected="an address of this machine",
            fix="Use 127.0.0.1 for this machine alone, or 0.0.0.0 for all its addresses.",
        )
    )


def _port_taken(host: str, port: int, error: OSError) -> ConfigError:
    is_used = error.errno == errno.EADDRINUSE
    return ConfigError(
        describe(
            "The port is in use" if is_used else "The port cannot be used",
            found=f"{host}:{port}" + (" belongs to another program" if is_used else f": {error.strerror}"),
            expected="a free port above 1023",
            fix="Choose another one, such as --port 8001, or --port 0 for any that is free.",
        )
    )
