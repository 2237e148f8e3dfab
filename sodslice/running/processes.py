"""`Processes`: hands in worker processes, with their supervision."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from functools import partial
from itertools import count
from queue import Empty
from typing import Any

import numpy as np

from sodslice.errors import Cancelled, SodsliceError
from sodslice.running.child import Child
from sodslice.running.hands import Bundles, Starting, Units
from sodslice.running.messages import error_in, plan_message, seen_in, work_message
from sodslice.running.plan import RunPlan
from sodslice.running.records import Record
from sodslice.running.seats import Seat, noted
from sodslice.running.shares import crew_of, crowd_note, share_of
from sodslice.running.tasks import Task
from sodslice.running.travel import check_travels

log = logging.getLogger(__name__)

BEAT_SECONDS = 0.25
"""At least so often a run says something, so that whoever runs it can call it off."""

CLOSE_SECONDS = 1.0
"""So long may workers take to end when they are asked to; then they are killed."""

ENDED = "the worker processes were ended"

MOST_STILLBORN = 3
"""So often in a row each worker may end before its first word; then the work is given up."""


class Processes:
    """Hands in worker processes, which die, are replaced, and have their tiles done by others.

    Several threads may have them run several plans at once: a worker takes the plan at which the fewest sit,
    and one that is done helps with another. Each loads a model once, however many plans there are.

    Args:
        workers: processes; at least one for each device that a plan names.
    """

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._crew = workers
        self._seats: list[Seat] = []
        self._tasks: list[Task] = []
        self._numbers = count(1)
        self._stillborn = 0
        self._said: set[str] = set()
        self._closed = False
        self._lock = threading.RLock()

    @property
    def workers(self) -> int:
        """How many processes there are at most."""
        return self._crew

    def load(self, plan: RunPlan) -> None:
        """Refuse what workers cannot have before the work begins; they load the model by themselves.

        Raises:
            SceneError: the scene is one that only this process has.
            ModelError: the model is.
        """
        check_travels(plan)

    def run(self, plan: RunPlan, units: Units, starting: Starting) -> Bundles:
        """See `Hands`.

        A tile at which two workers died that looked at nothing else comes back as DEAD. Nothing comes back
        (empty bundles) now and then, so that the work can be called off.

        Raises:
            SceneError: the scene is one that only this process has, or what `Here` raises.
            ModelError: the model is; or what `Here` raises.
            SodsliceError: workers die before they begin.
        """
        self.load(plan)
        task = self._enter(plan, units)
        try:
            while task.going:
                try:
                    heard = task.inbox.get(timeout=BEAT_SECONDS)
                except Empty:
                    yield ()
                    continue
                records = self._answered(task, heard, starting)
                if records:
                    yield records
        finally:
            self._leave(task)

    def close(self) -> None:
        """End the processes within about a second, whatever they do; runs under way end with an error."""
        with self._lock:
            self._closed = True
            seats, self._seats = self._seats, []
            for task in self._tasks:
                task.inbox.put(Cancelled(ENDED))
        for seat in seats:
            seat.child.terminate()
        deadline = time.monotonic() + CLOSE_SECONDS
        for seat in seats:
            seat.child.bury(max(0.0, deadline - time.monotonic()))

    def _enter(self, plan: RunPlan, units: Units) -> Task:
        """Take on a plan.

        Raises:
            Cancelled: the workers were ended.
        """
        ids = np.concatenate([np.zeros(0, np.int64), *(unit.ids for unit in units)])
        with self._lock:
            if self._closed:
                raise Cancelled(ENDED)
            self._crew = max(self._crew, crew_of(plan.model, self._workers))
            task = Task(next(self._numbers), plan, ids, crew=self._crew)
            self._say_once(crowd_note(plan, self._crew))
            self._tasks.append(task)
            self._seat_all()
        return task

    def _leave(self, task: Task) -> None:
        """Have nothing more to do with a plan, done or not."""
        with self._lock:
            self._tasks.remove(task)
            self._hear_last(task)
            for seat in self._seats:
                if seat.task is task:
                    seat.task, seat.held = None, {}
                    seat.child.say(Record(b"STOP", seat.sitting))
                if task.number in seat.plans:
                    seat.plans.remove(task.number)
                    seat.child.say(Record(b"DROP", task.number))

    def _hear_last(self, task: Task) -> None:
        """Of what nobody will answer, hear which workers are free or have ended; with the lock held."""
        while not task.inbox.empty():
            heard = task.inbox.get()
            if isinstance(heard, Exception):
                continue
            seat, message = heard
            if message is None:
                self._lose(seat)
            elif message.kind == b"OVER":
                seat.task, seat.held, seat.idle = None, {}, True

    def _answered(self, task: Task, heard: Any, starting: Starting) -> Sequence[Record]:
        """What a message brings, once it is answered.

        Raises:
            SodsliceError: a worker gave up, or workers die before they begin.
        """
        if isinstance(heard, Exception):
            raise heard
        seat, message = heard
        if message is None:
            return self._bury(task, seat)
        if message.kind == b"OOPS":
            raise error_in(message)
        if message.kind == b"READ":
            seat.held[message.tile_id] = True
            task.begun()
            starting(message.tile_id)
        elif message.kind == b"NEXT":
            self._feed(task, seat)
        elif message.kind == b"OVER":
            self._dismiss(task, seat)
        elif message.kind == b"SEEN":
            return noted(task, seat, seen_in(message))
        return ()

    def _bury(self, task: Task, seat: Seat) -> Sequence[Record]:
        """Replace a worker that died, and take its tiles back.

        Raises:
            SodsliceError: workers die before they begin.
        """
        end, held = seat.child.end, seat.held
        log.warning("a worker process died (%s); the %d tiles that it had are done again", end, len(held))
        with self._lock:
            seat.task = None
            task.hands -= 1
            try:
                return task.give_back(held, alone=seat.alone, end=end)
            finally:
                self._lose(seat)

    def _dismiss(self, task: Task, seat: Seat) -> None:
        """Let a worker go to another task; tiles that it passed over are for the caller to hand out again."""
        with self._lock:
            if seat.task is task:
                task.hands -= 1
                task.left -= len(seat.held)
                seat.task, seat.held, seat.idle = None, {}, True
                self._seat_all()

    def _feed(self, task: Task, seat: Seat) -> None:
        """Give a worker more of its task, or tell it that there is none."""
        with self._lock:
            if seat.task is not task:
                return
            work = None if seat.alone else task.take(seat.number)
            if work is None:
                seat.child.say(Record(b"OVER"))
            else:
                seat.held.update(dict.fromkeys(work.ids.tolist(), False))
                seat.child.say(work_message(task.number, work.ids))

    def _heard(self, seat: Seat, message: Record | None) -> None:
        """What a worker says is for those whose task it sits at; called from a thread of its own."""
        if message is not None and message.kind == b"SAID":
            line = message.content
            self._say_once(line["text"], line["name"], line["level"])
            return
        with self._lock:
            if seat.task is not None:
                seat.task.inbox.put((seat, message))
            elif message is None:
                self._lose(seat)
            elif message.kind in (b"HELO", b"OVER"):
                self._stillborn = 0
                seat.idle = True
                self._seat_all()

    def _lose(self, seat: Seat) -> None:
        """Do without a worker that ended; with the lock held."""
        if seat not in self._seats:
            return
        self._seats.remove(seat)
        self._stillborn += not seat.child.greeted
        if self._stillborn < MOST_STILLBORN * self._crew:
            self._seat_all()
            return
        self._stillborn = 0
        words = f", {seat.child.last_words}" if seat.child.last_words else ""
        error = SodsliceError(
            f"worker processes die before they begin ({seat.child.end}{words}); use `workers=1`"
        )
        for task in self._tasks:
            task.inbox.put(error)

    def _seat_all(self) -> None:
        """Start workers that are needed, and have those work that are idle; with the lock held."""
        for seat in self._seats:
            if seat.idle:
                self._seat(seat)
        coming = sum(seat.task is None for seat in self._seats)
        waiting = sum(task.waiting for task in self._tasks)
        taken = {seat.number for seat in self._seats}
        free = [number for number in range(self._crew) if number not in taken]
        try:
            for number in free[: max(0, waiting - coming)]:
                self._start(number)
        except SodsliceError as error:  # which those who wait must hear, whoever's thread this is
            for task in self._tasks:
                task.inbox.put(error)

    def _start(self, number: int) -> None:
        """Start a worker.

        Raises:
            SodsliceError: there is no process to be had.
        """
        seat = Seat(number)
        seat.child = Child(partial(self._heard, seat))
        self._seats.append(seat)
        seat.child.say(Record(b"LOGS", logging.getLogger("sodslice").getEffectiveLevel()))

    def _seat(self, seat: Seat) -> None:
        """Have an idle worker sit down to the task that has the fewest."""
        for task in sorted(self._tasks, key=lambda one: (one.hands, one.number)):
            work = task.take(seat.number, fresh=True)
            if work is None:
                continue
            task.hands += 1
            seat.task, seat.alone, seat.idle = task, work.alone, False
            seat.sitting += 1
            seat.held = dict.fromkeys(work.ids.tolist(), False)
            if task.number not in seat.plans:
                seat.plans.add(task.number)
                seat.child.say(plan_message(task.number, share_of(task.plan, seat.number, self._crew)))
            seat.child.say(work_message(task.number, work.ids))
            return

    def _say_once(self, text: str, name: str = __name__, level: int = logging.WARNING) -> None:
        """Log what several workers have to say, or several runs, once."""
        if not text or (level >= logging.WARNING and text in self._said):
            return
        self._said.update([text] if level >= logging.WARNING else ())
        logging.getLogger(name).log(level, "%s", text)
