"""The process of the TDS double: pysqlbridge's TDS server with our sessions behind it.

Run as ``python -m tests.servers.tds_double_node FOLDER PORT USER PASSWORD``. What pysqlbridge leaves out is here: a
login names its database (error 4060 for one that is not there), a large request is put together packet by packet, and
a connection that ends is rolled back.
"""

from __future__ import annotations

import logging
import socket
import socketserver
import sys
from pathlib import Path
from typing import Any

from pysqlbridge.server import BridgeServer
from pysqlbridge.tds.connection import Connection, ConnectionState
from pysqlbridge.tds.packet import HEADER_SIZE, Message, PacketStatus, PacketType, TdsProtocolError
from pysqlbridge.tds.result import Query
from pysqlbridge.tds.token import error_response

from tests.servers.tds_double_databases import Databases
from tests.servers.tds_double_session import Session
from tests.servers.tds_double_wire import Answer

NAME = "TDS double"
log = logging.getLogger("tds_double")


class Login:
    """The one login."""

    configured = True

    def __init__(self, user: str, password: str) -> None:
        self._known = (user, password)

    def admits(self, user: str, password: str) -> bool:
        """Whether it is that."""
        return (user, password) == self._known


class DoubleConnection(Connection):  # type: ignore[misc]
    """One client's connection, with its session."""

    def __init__(self, *given: Any, databases: Databases, **options: Any) -> None:
        super().__init__(*given, query_handler=self._answer, server_name=NAME, **options)
        self._databases = databases
        self._sql: Session | None = None
        self._parts = bytearray()
        self._first: Any = None

    def _answer(self, query: Query) -> Answer:
        if self._sql is None:
            self._sql = Session(self._databases.named(self._database))
        return self._sql.answer(query)

    def _answer_sql_login(self, responses: list[bytes]) -> bool:
        assert self._login is not None
        self._database = self._login.database or "master"
        if self._databases.has(self._database):
            return bool(super()._answer_sql_login(responses))
        said = f'Cannot open database "{self._database}" requested by the login. The login failed.'
        refusal = error_response(4060, said, server=NAME, severity=11, tds_version=self._tds_version)
        self._send(responses, refusal)
        self._state = ConnectionState.FAILED
        return True

    def _reset_the_session(self, *, keep_transaction: bool) -> None:
        if self._sql is not None and not keep_transaction:
            self._sql.reset()

    def _take_message(self) -> Message | None:
        """The next whole message. pysqlbridge reads all of its packets again with each that arrives."""
        if self._session_encrypted and self._tunnel is not None:
            if self._buffer:
                self._plaintext += self._tunnel.unwrap(bytes(self._buffer))
                self._buffer.clear()
            source = self._plaintext
        else:
            source = self._buffer
        at = 0
        while at + HEADER_SIZE <= len(source):
            length = int.from_bytes(source[at + 2 : at + 4], "big")
            if length < HEADER_SIZE:
                raise TdsProtocolError("a packet is shorter than its header")
            if at + length > len(source):
                break
            if self._first is None:
                self._first = (PacketType(source[at]), PacketStatus(source[at + 1]))
            self._parts += source[at + HEADER_SIZE : at + length]
            ends = source[at + 1] & PacketStatus.END_OF_MESSAGE
            at += length
            if ends:
                (kind, status), payload = self._first, bytes(self._parts)
                self._first, self._parts = None, bytearray()
                del source[:at]
                return Message(kind, payload, at, status)
        del source[:at]
        return None

    def end(self) -> None:
        """Nobody is there any more."""
        if self._sql is not None:
            self._sql.close()


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server: Any = self.server
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = DoubleConnection(
            server.certificate, databases=server.databases, logins=server.logins, reached_at=server.reached_at
        )
        try:
            while data := self.request.recv(1 << 20):
                self.request.sendall(b"".join(connection.receive(data)))
                if connection.state is ConnectionState.FAILED:
                    return
        except ConnectionError:
            pass
        except Exception:
            log.exception("a connection failed")
        finally:
            connection.end()


class DoubleServer(BridgeServer):  # type: ignore[misc]
    """The server."""

    request_queue_size = 256

    def __init__(self, folder: Path, port: int, user: str, password: str) -> None:
        super().__init__("127.0.0.1", port, logins=Login(user, password))
        self.RequestHandlerClass = _Handler
        self.databases = Databases(folder)


def main(folder: str, port: str, user: str, password: str) -> None:
    """Serve until the process ends."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    sys.setrecursionlimit(10_000)
    with DoubleServer(Path(folder), int(port), user, password) as server:
        server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
