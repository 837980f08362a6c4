"""Jobs of applications that fail, cost more than was held, or take longer."""

from __future__ import annotations

from collections.abc import Iterator

from app.simulate.customer_jobs import Job
from app.simulate.customer_story import Customer, Story
from app.simulate.expected_jobs import Over
from app.simulate.scenarios.scenario import Need, scenario
from app.simulate.steps import Step


@scenario(Need.CLOCK)
def job_half_done(c: Customer) -> Story:
    """A job that was paid for fails by half: part comes back today, the rest of it tomorrow."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    c.wait(hours=1)
    job = c.job()
    yield job.spends(c.low.daily_credits)
    c.wait(minutes=5)
    yield job.gives_back(2)
    yield job.gives_back(1, by="key")
    yield c.job().spends(3)
    yield job.gives_back(c.low.daily_credits)
    c.wait(days=1)
    yield job.gives_back(1)
    yield job.gives_back(job.left, by="key")
    yield job.gives_back(1)


@scenario(Need.CLOCK)
def job_costs_more(c: Customer) -> Story:
    """A job costs more than was held: what is there is taken, then the rest is owed and repaid."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    c.wait(hours=1)
    job = c.job()
    yield job.holds(c.low.daily_credits // 2)
    c.wait(minutes=3)
    yield job.costs(c.low.daily_credits)
    yield job.costs(1, final=False)
    yield job.costs(c.low.daily_credits, over="available")
    yield job.costs(1)
    owing = c.job()
    yield owing.holds(1)
    c.wait(days=1)
    owing = c.job()
    yield owing.holds(2, minutes=5)
    c.wait(minutes=20)
    yield owing.costs(3)
    yield owing.costs(c.low.daily_credits + 4, over="debt")
    c.wait(days=1)
    yield c.job().spends(c.low.daily_credits - 3)
    yield owing.gives_back(6)
    yield owing.gives_back(c.low.daily_credits - 2, by="id")


@scenario(Need.CLOCK)
def job_takes_longer(c: Customer) -> Story:
    """A job that runs over midnight is extended, paid in parts, and its rest comes back."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    c.wait(hours=20)
    job = c.job()
    yield job.holds(c.low.daily_credits - 1, minutes=60)
    c.wait(minutes=50)
    yield job.takes_longer(minutes=1_440)
    yield job.costs(2, final=False)
    c.wait(hours=12)
    yield job.costs(3, final=False)
    yield job.takes_longer(minutes=1_440)
    c.wait(hours=1)
    yield job.costs(1)
    yield job.takes_longer(minutes=1)
    yield job.gives_back(4)
    late = c.job()
    yield late.holds(5, minutes=10)
    c.wait(minutes=11)
    yield late.takes_longer(minutes=10)
    yield late.fails()


@scenario(Need.CLOCK)
def jobs_all_day(c: Customer) -> Story:
    """Jobs of every kind beside changes of tier, drawn from the seed."""
    sub = c.subscription(c.random.choice((c.low, c.high)))
    yield sub.subscribes()
    jobs: list[Job] = []
    for _ in range(c.random.randint(10, 40)):
        c.wait(minutes=c.random.choice((1, 7, 61, 433, 1_441)))
        if c.random.random() < 0.1:
            yield sub.changes_to(c.random.choice((c.low, c.high)))
            continue
        running = [job for job in jobs if job.was_paid]
        if not running or c.random.random() < 0.3:
            jobs.append(c.job())
            yield _paid(c, jobs[-1])
        else:
            yield from _goes_on(c, c.random.choice(running[-5:]))


def _paid(c: Customer, job: Job) -> Step:
    amount = c.random.randint(1, c.high.daily_credits)
    if c.random.random() < 0.5:
        return job.spends(amount)
    return job.holds(amount, minutes=c.random.choice((2, 60, 1_440)))


def _goes_on(c: Customer, job: Job) -> Iterator[Step]:
    amount = c.random.randint(1, c.high.daily_credits)
    chance = c.random.random()
    if chance < 0.4 or not job.is_held:
        yield job.gives_back(amount, by=c.random.choice(("id", "key")) if not job.is_held else "id")
    elif chance < 0.7:
        over: Over = c.random.choice(("refuse", "refuse", "available", "debt"))
        yield job.costs(amount, over=over, final=c.random.random() < 0.5)
    elif chance < 0.85:
        yield job.takes_longer(minutes=c.random.choice((2, 600)))
    else:
        yield job.fails()
