"""TLS for servers of tests: an authority of our own with a certificate for this machine, and an end of TLS before any
server that has none itself."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_DAY = timedelta(days=1)
_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""What libpq sends before it speaks TLS."""


@dataclass(frozen=True)
class Certificates:
    """Files in PEM: of the authority, of what it signed for 127.0.0.1 with its key, and of another authority."""

    ca: Path
    certificate: Path
    key: Path
    other_ca: Path


def certificates(folder: Path) -> Certificates:
    """Make them."""
    authority, signing = _authority("colonnade's tests")
    other, _ = _authority("somebody else")
    key = ec.generate_private_key(ec.SECP256R1())
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = _begun("127.0.0.1", authority.subject, key.public_key()).add_extension(here, critical=False)
    signed = signed.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False
    )
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key", folder / "other.pem")
    made.ca.write_bytes(authority.public_bytes(Encoding.PEM))
    made.other_ca.write_bytes(other.public_bytes(Encoding.PEM))
    made.certificate.write_bytes(signed.sign(signing, SHA256()).public_bytes(Encoding.PEM))
    made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    made.key.chmod(0o600)
    return made


def _begun(name: str, issuer: x509.Name | None, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    begun = x509.CertificateBuilder(issuer or subject, subject, public, x509.random_serial_number())
    begun = begun.not_valid_before(now - _DAY).not_valid_after(now + _DAY)
    return begun.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)


def _authority(name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    begun = _begun(name, None, key.public_key())
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    usage |= dict.fromkeys(("digital_signature", "encipher_only", "decipher_only"), False)
    signs = x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True)
    begun = begun.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return begun.add_extension(signs, critical=True).sign(key, SHA256()), key


@contextmanager
def ended(certificates: Certificates, port: int, *, asked_for: bool = False) -> Iterator[int]:
    """A port where TLS ends, and what comes goes on to another port; ``asked_for`` first, as PostgreSQL has it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # who does not trust us hangs up, which is what is tested

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if asked_for:
            with suppress(asyncio.IncompleteReadError, OSError):
                while await reader.readexactly(8) != _SSL_REQUEST:
                    writer.write(b"N")
                writer.write(b"S")
                await writer.start_tls(context)
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pump(reader, onward_writer), _pump(onward_reader, writer), return_exceptions=True)

    server = loop.run_until_complete(asyncio.start_server(handle, "127.0.0.1", 0, ssl=None if asked_for else context))
    thread = threading.Thread(target=loop.run_forever, name="tls", daemon=True)
    thread.start()
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while found := await reader.read(65_536):
            writer.write(found)
            await writer.drain()
    writer.close()
