"""Admission: how much work is let in, who waits and in which order, and who is turned away."""

from __future__ import annotations

import asyncio

import pytest

from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import DeadlineTooShortError, ServerBusyError
from twinshelf.server.services.embedding.admission import (
    HEAVY_COST,
    Admission,
    AdmissionConfig,
    Place,
    Work,
)


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make_admission(
    clock: Clock,
    *,
    in_flight_limit: float = 4,
    waiting_limit: int = 1000,
    wait_limit_s: float = 100,
) -> Admission:
    config = AdmissionConfig(
        in_flight_limit=in_flight_limit, waiting_limit=waiting_limit, wait_limit_s=wait_limit_s
    )
    return Admission(config, clock)


def text(cost: float = 1.0, **options: object) -> Work:
    return Work(pattern=Pattern.TEXT, cost=cost, **options)  # type: ignore[arg-type]


def finish(place: Place, clock: Clock, latency_s: float) -> None:
    clock.now += latency_s
    place.leave(clock.now, is_measured=True)


async def learn(admission: Admission, clock: Clock, latency_s: float) -> None:
    """Lets the admission see how long the encoder takes."""
    for _ in range(50):
        finish(await admission.enter(text()), clock, latency_s)


async def wait_in_line(admission: Admission, work: Work) -> asyncio.Task[Place]:
    task = asyncio.ensure_future(admission.enter(work))
    await asyncio.sleep(0)
    return task


async def test_what_is_in_flight_is_bounded_and_those_who_wait_get_in() -> None:
    clock = Clock()
    admission = make_admission(clock, in_flight_limit=3)
    inside = most = 0

    async def visit() -> None:
        nonlocal inside, most
        place = await admission.enter(text())
        inside += 1
        most = max(most, inside)
        for _ in range(3):
            await asyncio.sleep(0)
        inside -= 1
        place.leave(clock.now, is_measured=False)

    await asyncio.gather(*(visit() for _ in range(50)))
    assert most == 3
    assert (inside, admission.in_flight, admission.waiting_count) == (0, 0, 0)


async def test_places_are_weighed_by_cost_and_one_always_fits() -> None:
    clock = Clock()
    admission = make_admission(clock, in_flight_limit=4)
    places = [await admission.enter(text(2.0)), await admission.enter(text(2.0))]
    third = await wait_in_line(admission, text(0.5))
    assert not third.done()
    finish(places[0], clock, 0.01)
    await third
    finish(places[1], clock, 0.01)
    finish(third.result(), clock, 0.01)
    large = await admission.enter(text(6.0))
    assert admission.in_flight == 6.0
    finish(large, clock, 0.01)


async def test_those_beyond_the_queue_are_turned_away_until_there_is_room() -> None:
    clock = Clock()
    admission = make_admission(clock, in_flight_limit=1, waiting_limit=1)
    place = await admission.enter(text())
    waiting = await wait_in_line(admission, text())
    with pytest.raises(ServerBusyError, match="1 requests wait") as refused:
        await admission.enter(text())
    assert refused.value.retry_after_s is not None
    with pytest.raises(ServerBusyError):
        admission.expected_answer_s()
    finish(place, clock, 0.01)
    finish(await waiting, clock, 0.01)
    admission.expected_answer_s()
    await admission.enter(text())


async def test_a_wait_that_would_be_too_long_is_refused_at_once_and_says_when_to_come_back() -> (
    None
):
    clock = Clock()
    admission = make_admission(clock, in_flight_limit=1, wait_limit_s=0.5)
    await learn(admission, clock, 0.2)
    await admission.enter(text())
    waiting = [await wait_in_line(admission, text()) for _ in range(2)]
    with pytest.raises(ServerBusyError) as refused:
        await admission.enter(text())
    assert refused.value.retry_after_s == pytest.approx(0.6, rel=0.2)
    assert not any(task.done() for task in waiting)


async def test_a_deadline_that_cannot_be_kept_is_refused_before_anything_is_begun() -> None:
    clock = Clock()
    admission = make_admission(clock, in_flight_limit=1)
    await learn(admission, clock, 0.2)
    place = await admission.enter(text(deadline_s=clock.now + 0.3))
    with pytest.raises(DeadlineTooShortError, match="deadline") as refused:
        await admission.enter(text(deadline_s=clock.now + 0.3))
    assert refused.value.retry_after_s == pytest.approx(0.2, rel=0.2)
    waiting = await wait_in_line(admission, text())
    assert admission.expected_answer_s() > 0.2
    finish(place, clock, 0.2)
    finish(await waiting, clock, 0.2)
    await admission.enter(text(deadline_s=clock.now + 0.3))


async def test_an_encoder_without_a_queue_is_tried_however_long_it_took_before() -> None:
    clock = Clock()
    admission = make_admission(clock, in_flight_limit=2)
    await learn(admission, clock, 5.0)
    assert admission.expected_answer_s() == 0
    await admission.enter(text(deadline_s=clock.now + 1))
    assert admission.expected_answer_s() == 0


@pytest.mark.parametrize(("elapsed_s", "is_let_in"), [(1, False), (60, True)])
async def test_how_long_a_kind_took_a_while_ago_refuses_nobody_behind_others(
    elapsed_s: float, is_let_in: bool
) -> None:
    clock = Clock()
    admission = make_admission(clock, in_flight_limit=1)
    await learn(admission, clock, 5.0)
    clock.now += elapsed_s
    photo = Work(pattern=Pattern.IMAGE, cost=1, is_patient=True)
    for _ in range(200):
        finish(await admission.enter(photo), clock, 0.001)
    place = await admission.enter(photo)
    caller = await wait_in_line(admission, text(deadline_s=clock.now + 1))
    assert caller.done() is not is_let_in
    finish(place, clock, 0.001)
    if is_let_in:
        finish(await caller, clock, 0.001)
        await admission.enter(photo)
        await wait_in_line(admission, photo)
        assert admission.expected_answer_s() < 1
    else:
        assert isinstance(caller.exception(), DeadlineTooShortError)


async def test_who_has_waited_too_long_is_not_begun_any_more() -> None:
    clock = Clock()
    admission = make_admission(clock, in_flight_limit=1)
    await learn(admission, clock, 0.1)
    place = await admission.enter(text())
    late = await wait_in_line(admission, text(deadline_s=clock.now + 0.9))
    patient = await wait_in_line(admission, text(deadline_s=clock.now + 50))
    finish(place, clock, 0.9)
    with pytest.raises(DeadlineTooShortError, match="waited too long"):
        await late
    await patient


async def test_a_place_is_given_back_by_those_who_leave_while_they_wait() -> None:
    clock = Clock()
    admission = make_admission(clock, in_flight_limit=1)
    place = await admission.enter(text())
    leaving = await wait_in_line(admission, text())
    staying = await wait_in_line(admission, text())
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert admission.waiting_count == 1
    finish(place, clock, 0.01)
    unlucky = staying
    unlucky.cancel()  # its turn has come already
    await asyncio.gather(unlucky, return_exceptions=True)
    assert (admission.in_flight, admission.waiting_count) == (0, 0)


async def test_giving_a_place_back_twice_counts_once() -> None:
    clock = Clock()
    admission = make_admission(clock)
    first, _second = await admission.enter(text()), await admission.enter(text())
    finish(first, clock, 0.01)
    finish(first, clock, 0.01)
    assert admission.in_flight == 1.0


async def test_heavy_work_goes_one_at_a_time_and_holds_up_nothing_else() -> None:
    clock = Clock()
    admission = make_admission(clock, in_flight_limit=4)
    heavy = Work(pattern=Pattern.IMAGE, cost=5 * HEAVY_COST)
    first = await admission.enter(heavy)
    second = await wait_in_line(admission, heavy)
    assert not second.done()
    finish(first, clock, 1.0)
    await second
    third, fourth = [await wait_in_line(admission, heavy) for _ in range(2)]
    ordinary = await wait_in_line(admission, text(2.0))
    finish(second.result(), clock, 1.0)
    await asyncio.sleep(0)
    assert [each.done() for each in (third, ordinary, fourth)] == [True, True, False]


async def test_heavy_work_that_would_wait_for_others_of_its_kind_too_long_is_refused() -> None:
    clock = Clock()
    admission = make_admission(clock, wait_limit_s=0.5)
    heavy = Work(pattern=Pattern.IMAGE, cost=5 * HEAVY_COST)
    await learn(admission, clock, 0.01)
    finish(await admission.enter(heavy), clock, 0.4)
    await admission.enter(heavy)
    waiting = await wait_in_line(admission, heavy)
    with pytest.raises(ServerBusyError) as refused:
        await admission.enter(heavy)
    assert refused.value.retry_after_s == pytest.approx(0.8)
    assert not waiting.done()
    admission.expected_answer_s()


async def test_streams_wait_without_being_refused_and_get_their_turn_among_the_others() -> None:
    clock = Clock()
    admission = make_admission(clock, in_flight_limit=1, wait_limit_s=0.5)
    await learn(admission, clock, 1.0)
    place = await admission.enter(text())
    patient = [await wait_in_line(admission, text(is_patient=True)) for _ in range(20)]
    assert not any(task.done() for task in patient)
    prompt = [asyncio.ensure_future(admission.enter(text())) for _ in range(1)]
    await asyncio.gather(*prompt, return_exceptions=True)
    assert isinstance(prompt[0].exception(), ServerBusyError)
    for task in patient:
        finish(place, clock, 0.01)
        place = await task


@pytest.mark.parametrize("is_patient", [False, True])
async def test_whose_turn_it_is_keeps_it_until_the_work_fits(is_patient: bool) -> None:
    clock = Clock()
    admission = make_admission(clock, in_flight_limit=8)
    places = [await admission.enter(text(is_patient=not is_patient)) for _ in range(8)]
    large = await wait_in_line(admission, text(6.0, is_patient=is_patient))
    behind = await wait_in_line(admission, text(is_patient=is_patient))
    waiting = [large, behind]
    for _ in range(40):
        waiting.append(await wait_in_line(admission, text(is_patient=not is_patient)))
        finish(places.pop(0), clock, 0.01)
        await asyncio.sleep(0)
        places += [task.result() for task in waiting if task.done()]
        waiting = [task for task in waiting if not task.done()]
    assert large.done()
    assert behind.done()


async def test_callers_with_heavy_work_have_their_turn_among_streams_of_such_work() -> None:
    clock = Clock()
    admission = make_admission(clock, wait_limit_s=0.5)
    stream, call = [
        Work(pattern=Pattern.IMAGE, cost=2 * HEAVY_COST, is_patient=each) for each in (True, False)
    ]
    finish(await admission.enter(call), clock, 0.2)
    place = await admission.enter(stream)
    streams = [await wait_in_line(admission, stream) for _ in range(30)]
    calls = [await wait_in_line(admission, call) for _ in range(2)]
    for _ in range(3):
        finish(place, clock, 0.01)
        await asyncio.sleep(0)
        started = next(task for task in (*calls, *streams) if task.done())
        (calls if started in calls else streams).remove(started)
        place = started.result()
    assert (len(calls), len(streams)) == (0, 29)


async def test_streams_that_wait_leave_the_queue_of_callers_free() -> None:
    clock = Clock()
    admission = make_admission(clock, in_flight_limit=1, waiting_limit=1)
    await admission.enter(text())
    for cost in (1.0, 2 * HEAVY_COST):
        for _ in range(10):
            await wait_in_line(admission, text(cost, is_patient=True))
    caller = await wait_in_line(admission, text())
    assert not caller.done()
    with pytest.raises(ServerBusyError, match="^1 requests wait"):
        await admission.enter(text())


async def test_the_limit_grows_while_answers_are_quick_and_shrinks_when_they_wait() -> None:
    clock = Clock()
    admission = make_admission(clock, in_flight_limit=256)
    start = admission.limit

    async def load(latency_s: float, rounds: int) -> None:
        for _ in range(rounds):
            places = [await admission.enter(text()) for _ in range(int(admission.limit))]
            clock.now += latency_s
            for place in places:
                place.leave(clock.now, is_measured=True)

    await load(0.01, 30)
    high = admission.limit
    assert high > 4 * start
    await load(0.1, 30)
    assert admission.limit < high / 4


async def test_failures_of_the_encoder_teach_nothing() -> None:
    clock = Clock()
    admission = make_admission(clock, in_flight_limit=256)
    before = admission.limit
    for _ in range(100):
        place = await admission.enter(text())
        clock.now += 10
        place.leave(clock.now, is_measured=False)
    assert admission.limit == before
    assert admission.expected_answer_s() < 0.01
