"""From where audio may be fetched: the EHR's base with its credentials; its host and the listed hosts without any.

A listed name must have a public address, unless the operator says otherwise, and the address is judged when the connection
is made: what a name resolved to a moment before says nothing (DNS rebinding). An address that is listed itself may be private.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Literal
from urllib.parse import urljoin, urlsplit

from service.errors import NeedsPerson
from service.fhir.elements import is_id
from service.fhir.references import ForeignBase, parse

if TYPE_CHECKING:
    import aiohttp

By = Literal["ehr", "own_host", "elsewhere"]

_Network = IPv4Network | IPv6Network
_NOBODY: tuple[_Network, ...] = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("240.0.0.0/4"),
    IPv4Network("100.100.100.200/32"),  # metadata: Alibaba Cloud
    IPv4Network("168.63.129.16/32"),  # the host of a virtual machine: Microsoft Azure
    IPv6Network("fd00:ec2::/32"),  # metadata: AWS, IPv6
)
"""Never asked for audio, whatever is allowed; nor are link-local (most clouds' metadata) and multicast addresses."""
_PRIVATE: tuple[_Network, ...] = (
    *map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "100.64.0.0/10")),
    *map(IPv6Network, ("fc00::/7", "::1/128")),
)
_VERSION = re.compile(r"/_history/([^/]*)\Z")
_UNICAST_6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052


@dataclass(frozen=True, slots=True)
class Hop:
    """One request: `by` the EHR's client with its credentials, or without any on its own host or elsewhere."""

    url: str
    by: By


@dataclass(frozen=True, slots=True)
class Addresses:
    """`hosts` are `host`, meaning the scheme's own port, or `host:port`."""

    base_url: str
    hosts: frozenset[str]

    def first(self, url: str) -> Hop:
        """Raises NeedsPerson `audio_host_not_allowed`."""
        return self._on_base(url) or self._without_credentials(url)

    def after(self, hop: Hop, location: str) -> Hop:
        """Where a redirect leads. Credentials that were left behind are not taken up again. Raises NeedsPerson."""
        try:
            url = urljoin(hop.url, location)
            target = (self._on_base(url) or self._beneath_base(url)) if hop.by == "ehr" else None
        except ValueError:
            raise _not_allowed() from None
        target = target or self._without_credentials(url)
        if urlsplit(hop.url).scheme == "https" and urlsplit(target.url).scheme == "http":
            raise NeedsPerson("audio_refused", "a redirect from https to http")
        return target

    def _on_base(self, url: str) -> Hop | None:
        try:
            own = parse(url, self.base_url)
        except ForeignBase:
            return None
        return Hop(f"{self.base_url.rstrip('/')}/{own}{_version(url)}", "ehr") if own else None

    def _beneath_base(self, url: str) -> Hop | None:
        base, target = urlsplit(self.base_url.rstrip("/") + "/"), urlsplit(url)
        leaves = ".." in target.path or "%2e" in target.path.lower() or "\\" in target.path
        if leaves or target.scheme != base.scheme or not target.path.startswith(base.path):
            return None
        return Hop(url, "ehr") if _is_same_host(url, self.base_url) else None

    def _without_credentials(self, url: str) -> Hop:
        try:
            scheme = urlsplit(url).scheme
            host = host_of(url)
            own = host == host_of(self.base_url)
            listed = host in {host_of(f"{scheme}://{known}") for known in self.hosts}
        except ValueError:
            raise _not_allowed() from None
        if not (own or listed):
            raise _not_allowed()
        return Hop(url, "own_host" if own else "elsewhere")


def host_of(url: str) -> tuple[str, int]:
    """Host and port of an http(s) URL. Raises ValueError for any other, and for one that carries credentials."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or "\\" in parts.netloc:
        raise ValueError("not a plain http(s) URL")
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def may_be_reached(address: str, *, private: bool) -> bool:
    """Whether audio may come from this IP address. What IPv6 wraps (mapped, 6to4, NAT64) is judged by the IPv4 within."""
    try:
        ip = _within(ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if ip.is_link_local or ip.is_multicast or any(ip in network for network in _NOBODY):
        return False
    if any(ip in network for network in _PRIVATE):
        return private
    return ip.is_global and (ip.version == 4 or ip in _UNICAST_6)


class AddressRefused(OSError):
    """Not connected: the address is none that audio may come from."""


def guarded_session(
    trusted: Callable[[], ssl.SSLContext], connections: int, *, private: bool, hosts: Iterable[str] = ()
) -> aiohttp.ClientSession:
    """For the transport: it hands the very address that it connects to next to what makes the socket. Of the listed `hosts`
    those that are addresses may be reached though they are private.

    A request over it fails with AddressRefused as a cause where no other address of the host is left.
    """

    import aiohttp

    chosen = {address for host in hosts if (address := _address_of(host))}

    def make(found: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = found
        if not may_be_reached(str(address[0]), private=private or str(address[0]) in chosen):
            raise AddressRefused("not an address that audio may come from")
        return socket.socket(family, kind, protocol)

    connector = aiohttp.TCPConnector(limit=connections, ssl=trusted(), socket_factory=make)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


def _version(url: str) -> str:
    """Of a reference to one version (FHIR R4 §2.3.0): the current one may be another recording. Raises NeedsPerson."""
    named = _VERSION.search(url)
    if named and not is_id(named[1]):
        raise _not_allowed()
    return named[0] if named else ""


def _address_of(host: str) -> str | None:
    """Of `address` or `address:port`; None for a name."""
    try:
        return str(ip_address(urlsplit(f"//{host}").hostname or ""))
    except ValueError:
        return None


def _within(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _is_same_host(url: str, other: str) -> bool:
    try:
        return host_of(url) == host_of(other)
    except ValueError:
        return False


def _not_allowed() -> NeedsPerson:
    return NeedsPerson(
        "audio_host_not_allowed", "Media.content.url is neither the EHR's nor on AMBIENT_EHR__AUDIO_HOSTS"
    )
