"""Conditional requests (RFC 9110, section 13): who read what may change or keep it."""

from __future__ import annotations

import re

from banyan.kernel.refusal import BadRequest, Flaw

NO_VERSION = 0
"""The version of nothing: versions count from 1."""

TAG = r'(?:W/)?"[!#-~]*"'
TAGS = rf"^(?:\*|{TAG}(?: *, *{TAG})*)$"
"""What an If-Match may say, as a pattern that clients can check too."""


def etag(version: int | str) -> str:
    """Write a version as a strong entity tag."""
    return f'"{version}"'


def expected_version(if_match: str | None) -> int | None:
    """Tell which version the sender of an If-Match saw; None when any will do.

    Versions only grow, so of several the newest counts. A weak tag, or one that is not ours, never
    matches: it comes out as a version that nothing has.
    """
    if if_match is None or if_match == "*":
        return None
    if not re.fullmatch(TAGS, if_match):
        flaw = Flaw(parameter="If-Match", detail='Expected "*" or entity tags such as "7"')
        raise BadRequest(errors=(flaw,))
    strong = (re.fullmatch(r'"([0-9]{1,18})"', tag) for tag in re.findall(TAG, if_match))
    return max((int(tag[1]) for tag in strong if tag), default=NO_VERSION)


def unchanged(if_none_match: str | None, tag: str) -> bool:
    """Tell whether the reader already has this; If-None-Match compares weakly."""
    if if_none_match is None:
        return False
    known = (one.removeprefix("W/") for one in re.findall(TAG, if_none_match))
    return if_none_match.strip() == "*" or tag in known
