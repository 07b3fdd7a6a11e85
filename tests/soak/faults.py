"""Processes that freeze or are killed under a steady load: detection, refusal, recovery.

python -m tests.soak.faults
python -m tests.soak.faults --faults freeze-triton kill-service

Each fault meets a launcher and a service just started. The tool is the supervisor of both: what
ended by itself or was killed is started again at once, a frozen process is left alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.soak import offers, report
from tests.soak.deployment import Deployment
from tests.soak.options import add_options, deployment_of
from tests.soak.watched_load import Sight, WatchedLoad

STUBS: Final = ("image_preprocess", "text_preprocess", "image_tower", "text_tower", "fusion")
WARM_S: Final = 2.0
LATEST_ALARM_S: Final = 3.0
COLUMNS = ("fault", "alarm s", "fast s", "again s", "longest s", "codes")
Fault = Callable[[Deployment], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the faults; returns 0 when every one was detected and healed."""
    options = _parser().parse_args(arguments)
    sights = {}
    for name in options.faults:
        with deployment_of(options, "faults") as started:
            offers.store_gallery(started.address)
            sights[name] = dataclasses.asdict(run(started, FAULTS[name], options.patience_s))
        report.say(f"{name}: {sights[name]}")
    report.say(as_table(sights))
    failures = failed(sights)
    report.say("\n".join(failures) or "every fault was detected and healed")
    document = {"checkout": str(options.checkout), "faults": sights, "failures": failures}
    report.say(f"saved in {report.save(options.output, 'faults', document)}")
    return 1 if failures else 0


def run(started: Deployment, fault: Fault, patience_s: float) -> Sight:
    """Makes one fault under load; returns what callers saw until it was over or patience ended."""
    with WatchedLoad(started.address) as load:
        time.sleep(WARM_S)
        fault_s = time.monotonic()
        fault(started)
        while time.monotonic() - fault_s < patience_s and not load.is_over(fault_s):
            _supervise(started)
            time.sleep(0.05)
    return load.sight(fault_s)


def as_table(sights: dict[str, dict[str, Any]]) -> str:
    """Returns the figures as a table."""
    rows = []
    for name, sight in sights.items():
        codes = " ".join(f"{code} {count}" for code, count in sight["codes"].items())
        figures = [sight[key] for key in ("not_serving_s", "fast_s", "again_s", "longest_s")]
        rows.append((name, *figures, codes))
    return report.table("faults under load", COLUMNS, rows)


def failed(sights: dict[str, dict[str, Any]]) -> list[str]:
    """Returns a sentence for each mark that was missed."""
    said = []
    for name, sight in sights.items():
        # What is served again before the alarm is due needs none: one of two processes was lost.
        is_lasting = sight["again_s"] is None or sight["again_s"] > LATEST_ALARM_S
        alarm_s = sight["not_serving_s"]
        if is_lasting and (alarm_s is None or alarm_s > LATEST_ALARM_S):
            said.append(f"{name}: health says NOT_SERVING after {alarm_s} s")
        if sight["fast_s"] > LATEST_ALARM_S:
            said.append(f"{name}: callers wait longer than 1 s until {sight['fast_s']} s after it")
        if sight["again_s"] is None:
            said.append(f"{name}: not served again")
    return said


def _signal_triton(number: int) -> Fault:
    def fault(started: Deployment) -> None:
        if (server := started.tritonserver) is not None:
            server.send_signal(number)

    return fault


def _signal_stub(model: str, number: int) -> Fault:
    def fault(started: Deployment) -> None:
        started.stubs[model].send_signal(number)

    return fault


def _kill_service(started: Deployment) -> None:
    assert started.service is not None
    started.service.kill()


def _kill_launcher(started: Deployment) -> None:
    assert started.launcher is not None
    started.launcher.kill()


def _restart_all(started: Deployment) -> None:
    started.stop()
    started.begin_triton()
    started.start_service()


def _supervise(started: Deployment) -> None:
    """Starts again what has ended."""
    if started.launcher is not None and started.launcher.poll() is not None:
        started.begin_triton()
    if started.service is not None and started.service.poll() is not None:
        started.start_service()


FAULTS: Final[dict[str, Fault]] = {
    "freeze-triton": _signal_triton(signal.SIGSTOP),
    **{f"freeze-{model}": _signal_stub(model, signal.SIGSTOP) for model in STUBS},
    "kill-triton": _signal_triton(signal.SIGKILL),
    **{f"kill-{model}": _signal_stub(model, signal.SIGKILL) for model in STUBS},
    "kill-launcher": _kill_launcher,
    "kill-service": _kill_service,
    "restart-all": _restart_all,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.faults", description=__doc__)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument(
        "--patience-s", type=float, default=60.0, help="longest wait for the end of a fault"
    )
    add_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
