"""Whom a stranger's request comes from: the address that limits are counted by."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Network = IPv4Network | IPv6Network

# One subscriber is given at least a /64 (RFC 6177), so that many addresses of one make no crowd.
_SUBSCRIBER: Final = 64


def remote_of(peer: str, forwarded_for: Sequence[str], proxies: Sequence[Network]) -> str:
    """The caller's address: the peer's, or the last one that no proxy of ours wrote.

    `forwarded_for` are the values of X-Forwarded-For, believed as far as proxies of ours wrote them.
    """
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    found = _address(peer)
    while hops and found is not None and any(found in network for network in proxies):
        said = _address(hops.pop())
        if said is None:
            break
        found = said
    if found is None:
        return "unknown"
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, _SUBSCRIBER), strict=False))
    return str(found)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
