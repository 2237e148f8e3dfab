"""The list of jobs, in SQLite: what a service knows again after it was ended, however it ended."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import orjson

from sodslice.errors import OptionError
from sodslice.service.jobs.record import Job

VERSION = 1
TABLE = """\
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, created REAL NOT NULL, finished REAL NOT NULL,
    facts BLOB NOT NULL
)"""
COLUMNS = ("id", "state", "created", "finished")
FIELDS = {field.name for field in fields(Job)}


class JobList:
    """All jobs that are known.

    Args:
        path: of the database, which is made.

    Raises:
        OptionError: it cannot be made, or is something else.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute(TABLE)
            self._database.execute(f"PRAGMA user_version={VERSION}")
        except sqlite3.Error as error:
            raise OptionError(
                f"{path} cannot be used as a list of jobs: {error}; move it away, or give another `data`"
            ) from None

    def put(self, job: Job) -> None:
        """Remember a job as it is now."""
        facts = {key: value for key, value in asdict(job).items() if key not in COLUMNS}
        row = (job.id, job.state, job.created, job.finished, orjson.dumps(facts))
        self._run("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?)", row)

    def get(self, job_id: str) -> Job | None:
        """The job of an id."""
        found = self._run("SELECT * FROM jobs WHERE id = ?", (job_id,))
        return _job(found[0]) if found else None

    def remove(self, job_id: str) -> None:
        """Forget a job."""
        self._run("DELETE FROM jobs WHERE id = ?", (job_id,))

    def all(self, states: Sequence[str] = (), *, most: int = -1) -> list[Job]:
        """Jobs of some states, or of all, the oldest first; of more than `most` the newest."""
        where = f" WHERE state IN ({','.join('?' * len(states))})" if states else ""
        rows = self._run(
            f"SELECT * FROM jobs{where} ORDER BY created DESC, id DESC LIMIT ?",
            (*states, most),
        )
        return [_job(row) for row in reversed(rows)]

    def counts(self) -> dict[str, int]:
        """How many jobs there are of each state."""
        return dict(self._run("SELECT state, count(*) FROM jobs GROUP BY state"))

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def _run(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            return self._database.execute(statement, values).fetchall()


def _job(row: Sequence[Any]) -> Job:
    facts = orjson.loads(row[4])
    known = {key: value for key, value in facts.items() if key in FIELDS}
    return Job(id=row[0], state=row[1], created=row[2], finished=row[3], **known)
