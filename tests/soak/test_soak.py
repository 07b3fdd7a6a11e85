"""Small sizes of the loads against a real Triton with a tiny encoder; the full ones: make soak."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.model_repository.tiny_repository import publish_tiny_version
from tests.soak import bad_offers, impatient, offers
from tests.soak.deployment import Deployment
from tests.soak.kserve_calls import KserveCalls, answering_models, run

pytestmark = pytest.mark.triton


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Launcher, Triton and service of this project, which must stop cleanly after all of it."""
    folder = tmp_path_factory.mktemp("soak")
    tiny = publish_tiny_version(folder / "model_repository")
    deployment = Deployment(folder / "run", repository=tiny.repository, version=1)
    with pytest.MonkeyPatch.context() as patch, deployment as running:
        # Offers are drawn: whether prepared data lies here must make no difference.
        patch.setattr(offers, "PREPARED", folder)
        offers.store_gallery(running.address, 30)
        server = running.tritonserver
        yield running
        assert running.tritonserver == server
        running.stop_service()
        stop = running.stop_triton()
    assert stop.is_clean, stop.reason


@pytest.mark.parametrize("route", bad_offers.ROUTES)
def test_half_of_the_offers_may_be_broken(started: Deployment, route: str) -> None:
    loads = bad_offers.send(started, route, 120, (1, 8))
    assert [counts["reasons"] for counts in loads.values() if not counts["is_flawless"]] == []
    assert all(counts["good"] and counts["refused"] for counts in loads.values())
    assert all(answering_models(started.triton_address).values())


def test_nan_is_refused_by_the_towers_and_harms_no_neighbour_in_fusion(
    started: Deployment,
) -> None:
    calls = KserveCalls(started.triton_address, offer_count=1)
    fed = {call.way: call for call in calls.broken_tensors() if call.way.startswith("NaN")}
    assert fed.keys() == {f"NaN to {model}" for model in ("image_tower", "text_tower", "fusion")}
    tally = run(started.triton_address, list(fed.values()), 1)
    assert (tally.reasons, dict(tally.refused)) == ([], {"INVALID_ARGUMENT": 2})
    assert tally.odd_count == 1  # fusion answered, and no embedding for the row with NaN
    assert all(answering_models(started.triton_address).values())


def test_impatient_callers_leave_nothing_behind(started: Deployment) -> None:
    result = impatient.run(started, 1000)
    assert result["is_same_triton"]
    assert result["patient_codes"] == {"OK": 9}
    assert result["pending_inferences"] == 0
