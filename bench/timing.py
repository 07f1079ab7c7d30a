"""Medians of how long a piece of work takes, for the peers of this folder."""
import statistics
import time


def seconds_of(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(runs: int, work) -> float:
    work()  # a warm-up
    return statistics.median(seconds_of(work) for _ in range(runs))


def median_within(seconds: float, work) -> float:
    """Of as many runs as fill the time, six at least; work is told which run it is, the warm-up being 0."""
    work(0)
    times = []
    while sum(times) < seconds or len(times) < 6:
        times.append(seconds_of(lambda: work(len(times) + 1)))
    return statistics.median(times)
