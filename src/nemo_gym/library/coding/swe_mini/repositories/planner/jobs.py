"""The order of jobs that need each other, and their times."""


def order_jobs(needs: dict[str, list[str]]) -> list[str]:
    """The jobs, each after those that it needs; else in the order of their names."""
    done: list[str] = []
    left = set(needs)
    while left:
        ready = sorted(job for job in left if all(need in done for need in needs[job]))
        if not ready:
            raise ValueError("jobs need each other in a circle")
        done.append(ready[0])
        left.remove(ready[0])
    return done


def finish_times(needs: dict[str, list[str]], lengths: dict[str, int]) -> dict[str, int]:
    """The earliest end of each job when all jobs that are ready run at once."""
    ends: dict[str, int] = {}
    for job in order_jobs(needs):
        start = max((ends[need] for need in needs[job]), default=0)
        ends[job] = start + lengths[job]
    return ends


def rotate(people: list[str], weeks: int, shift: int = 1) -> list[str]:
    """Who is on duty in each week; the list starts again at its end."""
    return [people[week * shift % len(people)] for week in range(weeks)]
