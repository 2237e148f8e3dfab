"""A worker process: hands of its own, which do what the process at the other end of stdin and stdout says.

`child.py` starts it. It opens scenes and loads models by itself, once, and ends when that process does.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from queue import SimpleQueue
from typing import BinaryIO, NoReturn

from sodslice.inference import ModelSpec, ReadyDetector
from sodslice.models import load_spec
from sodslice.running.hands import Here, open_planned
from sodslice.running.messages import GREETING, error_message, plan_in, seen_message, work_in
from sodslice.running.plan import RunPlan
from sodslice.running.planned import Unit
from sodslice.running.records import Record, json_record, next_record
from sodslice.scene import SceneBase


def main(answers: int) -> NoReturn:
    """Work until the other process is gone.

    Args:
        answers: file descriptor of the pipe to it; stdout itself is for what libraries print.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    commands = open(os.dup(0), "rb")  # noqa: PTH123, SIM115 -- a descriptor is no path, and open to the end
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # what a library starts must not read the commands
    voice = _Voice(answers)
    inbox: SimpleQueue[Record] = SimpleQueue()
    worker = _Worker(inbox, voice)
    threading.Thread(target=_listen, args=(commands, worker, inbox), daemon=True).start()
    voice.greet()
    worker.work()


def _listen(commands: BinaryIO, worker: _Worker, inbox: SimpleQueue[Record]) -> None:
    """Put what is said into the inbox, until nobody is there who could say more."""
    while (message := next_record(commands)) is not None:
        if message.kind == b"LOGS":
            logging.getLogger("sodslice").setLevel(message.tile_id)
            continue
        inbox.put(message)
        if message.kind == b"STOP":
            worker.stopped = message.tile_id
    os._exit(0)


class _Voice(logging.Handler):
    """Says messages, whole ones, from any thread; and what is logged, as messages.

    Args:
        pipe: file descriptor to write to.
    """

    def __init__(self, pipe: int) -> None:
        super().__init__()
        self._pipe = pipe
        self._speaking = threading.Lock()
        logger = logging.getLogger("sodslice")
        logger.handlers[:], logger.propagate = [self], False

    def greet(self) -> None:
        """Say that this is a worker, and that it is ready."""
        self._write(GREETING + Record(b"HELO").encoded())

    def say(self, message: Record) -> None:
        """Say a message; where nobody hears it there is nothing left to do."""
        self._write(message.encoded())

    def emit(self, record: logging.LogRecord) -> None:
        """Say a line of the log."""
        line = {"name": record.name, "level": record.levelno, "text": record.getMessage()}
        self.say(json_record(b"SAID", line))

    def _write(self, content: bytes) -> None:
        view = memoryview(content)
        try:
            with self._speaking:
                while view:
                    view = view[os.write(self._pipe, view) :]
        except OSError:
            os._exit(0)


class _Worker:
    """What it holds: plans with their scenes, and models.

    Args:
        inbox: what it is told.
        voice: to answer with.
    """

    def __init__(self, inbox: SimpleQueue[Record], voice: _Voice) -> None:
        self.stopped = 0
        """The last sitting that is to end early."""
        self._inbox = inbox
        self._voice = voice
        self._sitting = 0
        self._last = Record(b"OVER")
        self._plans: dict[int, RunPlan] = {}
        self._scenes: dict[int, SceneBase] = {}
        self._models: list[tuple[ModelSpec, ReadyDetector]] = []

    def work(self) -> NoReturn:
        """Sit down to one plan after the other."""
        while True:
            message = self._next()
            if message.kind == b"WORK":
                self._sit(message)

    def _sit(self, first: Record) -> None:
        """Do the work of one plan, until there is no more or it is called off."""
        self._sitting += 1
        self._last = first
        plan = self._plans[first.tile_id]
        try:
            with closing(self._hands(plan, first.tile_id).run(plan, self._units(), self._begin)) as coming:
                for records in coming:
                    self._voice.say(seen_message(records))
                    if self._called_off:
                        break
            failed = False
        except BaseException as error:  # noqa: BLE001 -- whatever it is, those who wait for it must hear it
            self._voice.say(error_message(error))
            failed = True
        while (failed or self._called_off) and self._last.kind != b"STOP":
            self._last = self._next()
        self._voice.say(Record(b"OVER"))

    @property
    def _called_off(self) -> bool:
        return self.stopped >= self._sitting

    def _units(self) -> Iterator[Unit]:
        """The work as it comes; asked for when the last of it is begun with."""
        number = 0
        while self._last.kind == b"WORK" and not self._called_off:
            self._voice.say(Record(b"NEXT"))
            yield Unit(number, work_in(self._last))
            number += 1
            self._last = self._next()

    def _next(self) -> Record:
        """What it is told next, but for what is only to be noted."""
        while True:
            message = self._inbox.get()
            if message.kind == b"PLAN":
                self._plans[message.tile_id] = plan_in(message)
            elif message.kind == b"DROP":
                self._forget(message.tile_id)
            else:
                return message

    def _begin(self, tile_id: int) -> None:
        self._voice.say(Record(b"READ", tile_id))

    def _hands(self, plan: RunPlan, number: int) -> Here:
        """Hands that hold the scene and the model of a plan."""
        detector = next((ready for spec, ready in self._models if spec == plan.model), None)
        if detector is None:
            detector = load_spec(plan.model)
            self._models.append((plan.model, detector))
        if number not in self._scenes:
            self._scenes[number] = open_planned(plan)
        return Here(self._scenes[number], detector)

    def _forget(self, number: int) -> None:
        """Close the scene of a plan."""
        self._plans.pop(number, None)
        scene = self._scenes.pop(number, None)
        if scene is not None:
            scene.close()
