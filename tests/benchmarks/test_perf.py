"""Running perf_analyzer, reading and saving its figures; a stand-in plays perf_analyzer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import perf, perf_analyzer
from tests.benchmarks.perf_analyzer import (
    Measurement,
    PerfAnalyzer,
    PerfError,
    find_perf_analyzer,
    measure,
    read_measurement,
)

pytestmark = pytest.mark.slow

CSV = "Concurrency,Inferences/Second,p50 latency,p90 latency,p95 latency,p99 latency\n"


def stand_in(folder: Path, script: str) -> PerfAnalyzer:
    binary = folder / "perf_analyzer"
    binary.write_text("#!/bin/sh\n" + script)
    binary.chmod(0o755)
    return PerfAnalyzer(binary=binary)


def run(folder: Path, analyzer: PerfAnalyzer) -> Measurement:
    return measure(
        analyzer,
        model="text_encoder",
        concurrency=4,
        address="127.0.0.1:1",
        data=folder / "in.json",
        output=folder / "out.csv",
    )


def test_latencies_are_read_as_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text(CSV + "4,128.2,29288,43978,48899,112328\n")
    assert read_measurement(path, "m") == Measurement(
        model="m", concurrency=4, throughput=128.2, p50_ms=29.288, p95_ms=48.899, p99_ms=112.328
    )


@pytest.mark.parametrize("text", ["", CSV, "Concurrency\n4\n", CSV + "4,x,1,1,1,1\n"])
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "out.csv"
    path.write_text(text)
    with pytest.raises(PerfError, match="not what perf_analyzer"):
        read_measurement(path, "m")


def test_a_steady_measurement_needs_one_run(tmp_path: Path) -> None:
    analyzer_output = tmp_path / "out.csv"
    analyzer = stand_in(
        tmp_path,
        f'echo "$@ past $no_grpc_proxy" >> "{tmp_path}/calls"\n'
        f"printf '{CSV.strip()}\\n4,10,1000,1,2000,3000\\n' > '{analyzer_output}'\n",
    )
    measured = run(tmp_path, analyzer)
    assert measured.is_steady and measured.p99_ms == 3.0
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert "-m text_encoder -u 127.0.0.1:1" in call and "--concurrency-range 4" in call
    assert call.endswith(" past 127.0.0.1")


def test_an_unsteady_measurement_is_taken_again_and_marked(tmp_path: Path) -> None:
    analyzer = stand_in(
        tmp_path,
        f"printf '{CSV.strip()}\\n4,10,1000,1,2000,3000\\n' > '{tmp_path}/out.csv'\n"
        'case "$*" in *10000*) ;; *) echo "Failed to obtain stable measurement."; exit 2;; esac\n',
    )
    assert not run(tmp_path, analyzer).is_steady


def test_a_failure_shows_the_end_of_the_output(tmp_path: Path) -> None:
    with pytest.raises(PerfError, match="(?s)status 3.*model is not ready"):
        run(tmp_path, stand_in(tmp_path, "echo model is not ready; exit 3\n"))
    with pytest.raises(PerfError, match="measured nothing"):
        run(tmp_path, stand_in(tmp_path, "exit 0\n"))
    with pytest.raises(PerfError, match="cannot be started"):
        run(tmp_path, PerfAnalyzer(binary=tmp_path / "no"))


def test_the_one_on_path_is_taken_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = stand_in(tmp_path, "echo version\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert find_perf_analyzer() == found
    stand_in(tmp_path, "exit 1\n")
    with pytest.raises(PerfError, match="does not run here"):
        find_perf_analyzer()


def test_the_lock_pins_one_package_by_hash() -> None:
    lines = perf_analyzer.LOCK.read_text().split()
    assert lines[0] == "tritonclient==2.50.0"
    assert [line[:14] for line in lines[2:]] == ["--hash=sha256:"]


def test_queries_of_the_generated_data_are_preferred(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="make data"):
        perf.find_queries(tmp_path)
    for name in ("grocery", "generated"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "queries.parquet").touch()
        assert perf.find_queries(tmp_path).parent.name == name


def test_an_unsteady_measurement_is_marked_in_the_table() -> None:
    measured = Measurement(
        model="m", concurrency=1, throughput=9.5, p50_ms=1, p95_ms=2, p99_ms=3, is_steady=False
    )
    (row,) = perf.measurement_rows([measured])
    assert (row["model"], row["inferences/s"], row[""]) == ("m", 9.5, "unsteady")


def test_a_failure_is_a_sentence_and_a_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert perf.main(["--products", str(tmp_path / "no.parquet")]) == 1
    assert "there is no file" in capsys.readouterr().out
