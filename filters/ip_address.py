"""Rejects, or masks, addresses of machines on the internet."""

from __future__ import annotations

from typing import Final

import polars as pl

from curate.api import Field, Verdict, rejects, spans, text

# What is glued to numbers and dots belongs to them, and so does the word before that makes them a version's.
_BEFORE: Final = (
    r"(?:(?i-u:\b(?:v|ver|version|release|build|chrome|firefox|safari|edge|section|sections|oid))[ \t\"'=:/]*)"
)
_FOUR: Final = r"[0-9A-Za-z_]*\.?[0-9]+(?:\.[0-9]+){3,}(?:\.?[A-Za-z_%]|/[0-9][0-9.]*|-[0-9A-Za-z])*"
_SIX: Final = r"[0-9A-Za-z_]*:?[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f]*[0-9A-Za-z_:]*"
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4: Final = rf"^{_OCTET}(?:\.{_OCTET}){{3}}$"
_IPV6: Final = r"^[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){7}$"
# Compressed addresses are taken only from what is given out to the public: C++ and clocks have colons too.
_IPV6_COMPRESSED: Final = (
    r"^[23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{1,4}){1,6}::(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4})*)?$"
)
_SPECIAL: Final = (
    r"^(?:0|10|127|2(?:2[4-9]|[34][0-9]|5[0-5]))\."  # this network, private, loopback, multicast and reserved
    r"|^100\.(?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\."  # shared by a provider's customers
    r"|^169\.254\.|^172\.(?:1[6-9]|2[0-9]|3[01])\.|^192\.168\."  # link-local, private
    r"|^192\.0\.[02]\.|^198\.51\.100\.|^203\.0\.113\.|^198\.1[89]\."  # protocols, documentation, benchmarks
    r"|^(?i:f[cdef][0-9a-f]{2}:|2001:0?db8:|0{1,4}:0{1,4}:)"  # IPv6: private, link-local, multicast, documentation
    r"|^[0-9]\.[0-9]\.[0-9]\.[0-9]$"
)


@rejects
def ip_address(*, of: Field = "conversation", special: bool = False, mask_with: str = "<ip>") -> Verdict:
    """An IP address, of version 4 or 6, that may lead to somebody's machine.

    Why: such an address is personal data where a provider can tell whose it was (Court of Justice of the EU,
    C-582/14). Private, loopback, documentation and other special ranges (the registry of RFC 6890) are nobody's:
    they count with `special`, and so do four single digits, which number a section or a version, or are a public
    resolver's. Numbers of versions, networks with their prefix length and MAC addresses are no addresses.
    Rejects: The last login came from 84.113.27.190 at noon.
    Keeps: The router is at 192.168.1.1, the resolver at 8.8.8.8, and the netmask is 255.255.255.0.
    """
    pattern = rf"{_BEFORE}?{_FOUR}|{_SIX}"
    return spans(text(of), pattern, lambda match: _address(match, special=special), mask_with=mask_with)


def _address(match: pl.Expr, *, special: bool) -> pl.Expr:
    pairs = match.str.contains(r"^[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){7}$")  # of a network card
    address = match.str.contains(f"{_IPV4}|{_IPV6}|{_IPV6_COMPRESSED}") & ~pairs
    if not special:
        address = address & ~match.str.contains(_SPECIAL)
    return pl.when(address).then(match)
