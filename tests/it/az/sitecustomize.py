"""Names under `localhost` are this machine (RFC 6761), which Python's resolver does not know by itself."""

import socket

_asked = socket.getaddrinfo


def _here(host, *rest, **more):
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if isinstance(name, str) and name.endswith(".localhost"):
        host = "127.0.0.1"
    return _asked(host, *rest, **more)


socket.getaddrinfo = _here
