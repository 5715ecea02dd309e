"""The statistics of `srfusion study results`, computed again from the database with Python's own library. Prints JSON:
data set ("" for all together) -> treatment -> [mean, deviation, half of the 95 % interval, marks].

    python study.py DATABASE
"""

import collections
import json
import math
import sqlite3
import statistics
import sys


def student(probability, freedom):
    """Quantile of Student's distribution, by bisection over its integral (Simpson)."""
    factor = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)

    def density(t):
        return factor * (1 + t * t / freedom) ** (-(freedom + 1) / 2)

    def below(t, steps=2000):
        width = t / steps
        inner = sum((4 if i % 2 else 2) * density(i * width) for i in range(1, steps))
        return 0.5 + width / 3 * (density(0) + inner + density(t))

    low, high = 0.0, 1000.0
    while high - low > 1e-10 * max(high, 1):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) < probability else (low, middle)
    return low


def main():
    database = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
    rows = database.execute(
        "SELECT session, q.position, data_set, trap, treatment, mark FROM marks JOIN questions q USING (session, position)"
        " JOIN sessions s ON s.id = session WHERE s.finished IS NOT NULL"
    ).fetchall()
    careless = {session for session, _, _, trap, treatment, mark in rows if trap and ((treatment == "LR" and mark > 2) or (treatment == "HR" and mark < 4))}
    marks = collections.defaultdict(lambda: collections.defaultdict(list))
    for session, _, data_set, trap, treatment, mark in rows:
        if not trap and session not in careless:
            marks[data_set, treatment][session].append(mark)
            marks["", treatment][session].append(mark)
    result = collections.defaultdict(dict)
    for (data_set, treatment), raters in marks.items():
        every = [mark for given in raters.values() for mark in given]
        means = [statistics.fmean(given) for given in raters.values()]
        half = student(0.975, len(means) - 1) * statistics.stdev(means) / math.sqrt(len(means))
        result[data_set][treatment] = [statistics.fmean(every), statistics.stdev(every), half, len(every)]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
