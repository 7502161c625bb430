"""How many rows and entries of indexes the statements of a connection looked at."""

from deskline_chassis.postgres import Conn

_LOOKED_AT = (
    "SELECT (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = %(table)s)"
    " + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = %(table)s)"
)


def looked_at(connection: Conn, table: str) -> int:
    """Rows of a table that were read, and entries of its indexes, since the database was made."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    connection.commit()
    found = connection.execute(_LOOKED_AT, {"table": table}).fetchone()
    connection.commit()
    assert found is not None
    return int(found[0])


def analyse(url: str, table: str) -> None:
    """Let the planner know what the table holds now; it is told nothing later."""
    with Conn.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        connection.execute(f"ANALYZE {table}")


def never_analyse(url: str, table: str) -> None:
    """Let the planner know nothing of what the table will hold."""
    with Conn.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
