"""The catalogue on one machine: SQLite and usearch behind the protocol."""
