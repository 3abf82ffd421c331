"""What a database says of itself: the version of the schemas that it was written with."""

from __future__ import annotations

from typing import Final

from colonnade.engine.stores.upstash.address import Place
from colonnade.engine.stores.upstash.requests import Command, Request, Steps
from colonnade.errors import NotAStore, SchemaTooNew
from colonnade.schemas import VERSION

_KEY: Final = "schema"


def steps(place: Place) -> Steps[None]:
    """Note the version where none is; ``SchemaTooNew`` where it is a newer one. One request where it is there."""
    read = Request([Command(("GET", _KEY))], repeatable=True)
    (found,) = yield read
    if found is None:
        # Not over what another client has noted meanwhile.
        yield Request([Command(("SET", _KEY, str(VERSION), "NX"))], repeatable=True)
        (found,) = yield read
    if not str(found).isdecimal():
        raise NotAStore(
            f"{place.label}: under {place.prefix + _KEY!r} is no version of colonnade's; use another prefix"
        )
    if int(found) > VERSION:
        raise SchemaTooNew(f"{place.label}, prefix {place.prefix!r}", int(found), VERSION)
