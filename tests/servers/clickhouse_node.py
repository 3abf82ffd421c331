"""A ClickHouse server as a process of its own: ``python clickhouse_node.py FOLDER HTTP_PORT TCP_PORT [TCP_PORT ...]``.

The wheel of chdb-core holds the whole server, and its local mode opens the ports of a configuration file that lies in
the working directory. With several native ports it is that node of a cluster named ``tested`` whose port comes first;
the others are given in the order of their shards, this one among them again.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from xml.sax.saxutils import escape

USER, PASSWORD = "tester", "s3cret&<right>"
READER = "reader"
"""Who may read only, and change settings for it (``readonly = 2``)."""

# Compiling an expression takes longer than computing it for the few rows that there are here.
_USERS = """<clickhouse>
  <profiles><default>
    <compile_expressions>0</compile_expressions>
    <compile_aggregate_expressions>0</compile_aggregate_expressions>
    <compile_sort_description>0</compile_sort_description>
  </default><reader><readonly>2</readonly></reader></profiles>
  <quotas><default/></quotas>
  <users>
    <default><password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></default>
    <{user}><password>{password}</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></{user}>
    <{reader}><password></password><networks><ip>::/0</ip></networks><profile>reader</profile><quota>default</quota></{reader}>
  </users>
</clickhouse>"""

_CONFIG = """<clickhouse>
  <http_port>{http}</http_port><tcp_port>{tcp}</tcp_port><listen_host>127.0.0.1</listen_host>
  <users_config>{home}/users.xml</users_config>
  <user_directories><users_xml><path>{home}/users.xml</path></users_xml></user_directories>
  <remote_servers>{cluster}</remote_servers>
  <logger><level>warning</level><log>{home}/server.log</log></logger>
  <background_pool_size>2</background_pool_size>
  <mark_cache_size>67108864</mark_cache_size>
</clickhouse>"""


def main(home: Path, http: int, tcp: int, shards: list[int]) -> None:
    """Write the configuration, then serve until the process is killed."""
    home.mkdir(parents=True, exist_ok=True)
    os.chdir(home)
    each = "".join(
        "<shard><internal_replication>true</internal_replication>"
        f"<replica><host>127.0.0.1</host><port>{port}</port></replica></shard>"
        for port in shards
    )
    cluster = f"<tested><secret>between nodes</secret>{each}</tested>" if each else ""
    Path("users.xml").write_text(_USERS.format(reader=READER, user=USER, password=escape(PASSWORD)))
    Path("config.xml").write_text(_CONFIG.format(http=http, tcp=tcp, home=home, cluster=cluster))

    from chdb import _chdb  # it reads the configuration from the working directory

    _chdb.query(  # type: ignore[attr-defined]  # it ships no types
        "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; "
        "SELECT sleepEachRow(1) FROM numbers(1000000) SETTINGS max_block_size = 1, max_execution_time = 0, "
        "function_sleep_max_microseconds_per_block = 1000000000 FORMAT Null",
        "TabSeparated",  # what commands over HTTP are answered in unless they say otherwise
        path=str(home / "data"),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), int(sys.argv[2]), int(sys.argv[3]), [int(port) for port in sys.argv[4:]])
