"""Processes that run generated inputs, so that a crash or a hang is noticed and its input kept."""

from __future__ import annotations

import multiprocessing
import resource
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from queue import Empty
from typing import Any

from tests.fuzz.subjects import SUBJECTS, Subject

# What no input may take of one core: half more than photos are allowed, for others run beside and
# share its caches. A slower one is timed again, and its best time counts.
CPU_LIMIT_S = 0.6
_STUCK_AFTER_S = 60.0
_POLL_S = 0.5
_WARM_INPUTS = 2_000  # after so many the process has loaded what it will ever load


@dataclass(kw_only=True)
class Findings:
    """What a run of generated inputs showed.

    Attributes:
        count: Inputs that were run.
        answers: How often each kind of answer came.
        failures: What must not happen, with the number of the input.
        slowest_s: Time of one core that the slowest input took.
        slowest_number: Its number.
        growth_mb: How much the largest process grew after its first two thousand inputs.
    """

    count: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest_number: int = -1
    growth_mb: float = 0.0

    def add(self, other: Findings) -> None:
        """Takes in what another process found."""
        self.count += other.count
        self.answers += other.answers
        self.failures += other.failures
        self.growth_mb = max(self.growth_mb, other.growth_mb)
        if other.slowest_s > self.slowest_s:
            self.slowest_s, self.slowest_number = other.slowest_s, other.slowest_number


def run_numbers(subject: Subject, seed: int, numbers: range, deadline_s: float) -> Findings:
    """Runs the inputs of some numbers in this process, until a moment of `time.monotonic`."""
    findings = Findings()
    for number in numbers:
        if time.monotonic() > deadline_s:
            break
        _run_one(subject, seed, number, findings)
    return findings


def fuzz(
    subject_name: str, seed: int, count: int, process_count: int, seconds: float, folder: Path
) -> Findings:
    """Runs inputs 0 to `count` in processes; a process that dies or hangs is replaced.

    Args:
        subject_name: Key of `SUBJECTS`.
        seed: Seed of the inputs.
        count: How many inputs at most.
        process_count: Processes at a time; each takes every so-manieth input.
        seconds: When to stop.
        folder: Where inputs are kept that crashed, hung, failed, or were the slowest.
    """
    context = multiprocessing.get_context("spawn")
    deadline_s = time.monotonic() + seconds
    total = Findings()
    reports: Any = context.Queue()
    share = [range(first, count, process_count) for first in range(process_count)]
    running = [_start(context, subject_name, seed, each, deadline_s, reports) for each in share]
    while running:
        try:
            total.add(reports.get(timeout=_POLL_S))
        except Empty:
            pass
        running = [
            successor
            for each in running
            for successor in _look_after(context, each, seed, deadline_s, reports, total)
        ]
    while not reports.empty():
        total.add(reports.get())
    _keep_inputs(subject_name, seed, total, folder)
    return total


@dataclass(kw_only=True)
class _Running:
    subject_name: str
    process: Any
    current: Synchronized[int]
    numbers: range
    seen: int = -1
    seen_at_s: float = field(default_factory=time.monotonic)


def _start(
    context: Any, subject_name: str, seed: int, numbers: range, deadline_s: float, reports: Any
) -> _Running:
    current = context.Value("q", -1)
    arguments = (subject_name, seed, numbers, deadline_s - time.monotonic(), current, reports)
    process = context.Process(target=_work, args=arguments)
    process.start()
    return _Running(subject_name=subject_name, process=process, current=current, numbers=numbers)


def _look_after(
    context: Any, running: _Running, seed: int, deadline_s: float, reports: Any, total: Findings
) -> list[_Running]:
    """Returns the process itself, its successor, or none when it is done."""
    process, number = running.process, running.current.value
    if process.is_alive():
        if number != running.seen:
            running.seen, running.seen_at_s = number, time.monotonic()
        if number < 0 or time.monotonic() - running.seen_at_s < _STUCK_AFTER_S:
            return [running]
        process.kill()
        process.join()
        total.failures.append((number, f"hung for {_STUCK_AFTER_S:.0f} s"))
    elif process.exitcode == 0:
        return []
    else:
        total.failures.append((number, f"the process died with {process.exitcode}"))
    rest = running.numbers[running.numbers.index(number) + 1 :] if number >= 0 else range(0)
    return [_start(context, running.subject_name, seed, rest, deadline_s, reports)] if rest else []


def _work(
    subject_name: str,
    seed: int,
    numbers: range,
    seconds: float,
    current: Synchronized[int],
    reports: Any,
) -> None:
    warnings.simplefilter("ignore")
    subject = SUBJECTS[subject_name]()
    deadline_s = time.monotonic() + seconds
    findings, warm_mb = Findings(), 0.0
    for number in numbers:
        if time.monotonic() > deadline_s:
            break
        current.value = number
        _run_one(subject, seed, number, findings)
        if findings.count == _WARM_INPUTS:
            warm_mb = _peak_mb()
    findings.growth_mb = _peak_mb() - warm_mb if warm_mb else 0.0
    reports.put(findings)


def _run_one(subject: Subject, seed: int, number: int, findings: Findings) -> None:
    data = subject.make(seed, number)
    findings.count += 1
    try:
        used_s, answer = _timed(subject, data)
        if used_s > CPU_LIMIT_S:
            used_s = min(used_s, *(_timed(subject, data)[0] for _ in range(3)))
    except Exception as error:  # any exception but our own is what is looked for
        findings.failures.append((number, repr(error)[:300]))
        return
    findings.answers[answer] += 1
    if used_s > findings.slowest_s:
        findings.slowest_s, findings.slowest_number = used_s, number
    if used_s > CPU_LIMIT_S:
        findings.failures.append((number, f"took {used_s:.2f} s of one core"))


def _timed(subject: Subject, data: bytes) -> tuple[float, str]:
    started_s = time.thread_time()
    answer = subject.run(data)
    return time.thread_time() - started_s, answer


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _keep_inputs(subject_name: str, seed: int, findings: Findings, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    make = SUBJECTS[subject_name]().make
    numbers = {number for number, _ in findings.failures} | {findings.slowest_number}
    for number in numbers - {-1}:
        (folder / f"{subject_name}-{seed}-{number}").write_bytes(make(seed, number))
