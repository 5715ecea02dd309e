"""How long films take on N machines, and where more of them no longer help: events one after the other, from measured figures."""

import heapq
from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """What was measured."""

    # Frames a second of one slot, a machine or a part of it that makes one segment at a time.
    frames_per_second: float
    # Frames a second of the films.
    rate: float = 25.0
    # Length of a segment in seconds of film.
    segment: float = 10.0
    # Seconds that a segment takes before its first frame: starting the command, opening the models, decoding what lies before it.
    start: float = 2.0
    # Seconds for joining an hour of film, on one slot.
    join: float = 60.0
    # Seconds that the driver is busy with a piece of work.
    dispatch: float = 0.01
    # Bytes a second that the storage gives to all together, and bytes that an hour of film takes there, read and written.
    storage: float = 1e9
    bytes_per_hour: float = 8e9


def simulate(hours, films, slots, figures):
    """Seconds until `films` films of `hours` hours in all are done on `slots` slots."""
    per_film = hours / films * 3600
    segments = max(1, round(per_film / figures.segment))
    length = per_film / segments
    work = figures.start + length * figures.rate / figures.frames_per_second
    # The storage is shared by all: each slot's share of it is what a segment's bytes wait for at least.
    segment_bytes = figures.bytes_per_hour * length / 3600
    work = max(work, segment_bytes * min(slots, segments * films) / figures.storage)
    join = figures.join * per_film / 3600
    free = [0.0] * slots
    heapq.heapify(free)
    driver = 0.0
    end = 0.0
    joins = []

    def place(ready, takes):
        """Begins work that is ready at a time on the slot that is free first; gives its end."""
        nonlocal driver
        slot = heapq.heappop(free)
        driver = max(driver, ready, slot - figures.dispatch) + figures.dispatch
        done = max(slot, driver) + takes
        heapq.heappush(free, done)
        return done

    for _ in range(films):
        # Joins that are ready come first, as in the driver.
        while joins and joins[0] <= free[0]:
            end = max(end, place(heapq.heappop(joins), join))
        heapq.heappush(joins, max(place(0.0, work) for _ in range(segments)))
    while joins:
        end = max(end, place(heapq.heappop(joins), join))
    return end


def table(hours, films, counts, figures):
    """Rows for each number of slots: slots, hours taken, slot-hours, share of what as many slots could do at best."""
    alone = simulate(hours, films, 1, figures)
    rows = []
    for slots in counts:
        seconds = simulate(hours, films, slots, figures)
        rows.append((slots, seconds / 3600, seconds * slots / 3600, alone / slots / seconds))
    return rows
