"""Whose certificates are trusted by stores that speak TLS, and what is said of one that is not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from colonnade.errors import InvalidAddress

if TYPE_CHECKING:
    from ssl import SSLContext

_REFUSED: Final = re.compile(r"certificate verify failed(?:: *([^()]*))?", re.IGNORECASE)
"""What OpenSSL says, whichever driver hands it on."""


def trusted(ca: str | None) -> SSLContext | bool:
    """What httpx verifies with: the certificates in a file, or those that it comes with; ``InvalidAddress``."""
    if ca is None:
        return True
    import ssl

    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:
        raise InvalidAddress(f"ca={ca!r:.200} is no file of certificates in PEM: {error}") from None
    return context


def mistrusted(said: str, option: str) -> str | None:
    """What a failed connection means, and which option helps, if a certificate is the reason; else ``None``."""
    if (found := _REFUSED.search(said)) is None:
        return None
    why = " ".join((found[1] or "").split()).rstrip(" .,;'\"")
    if "mismatch" in why:
        return f"its certificate is one for another host ({why})"
    return (
        f"its certificate is not trusted here{f' ({why})' if why else ''}; if this is the right server, name the file "
        f"with the certificate of who signed it as {option}=..."
    )
