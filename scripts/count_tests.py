#!/usr/bin/env python3
"""Counts tests from their runner's own report; prints "PASSED FAILED SKIPPED" and writes the skipped ones to a file.

Usage: count_tests.py REPORT SKIPPED SUITE. REPORT is JUnit's XML, as cargo-nextest and pytest write it, or else what
`cargo test -- --show-output` printed, of which only the runner's closing lines and its sections of output are read. SKIPPED gets
a line for each skipped test: SUITE, name and reason, with tabs between them; it is added to.

A test that cannot run on this machine prints a line that begins with "skipped:" and returns, which Rust's runners report as
passed: it counts as skipped here, as does one of which a part was left out ("skipped in part:").
"""

import collections
import pathlib
import re
import sys
import xml.etree.ElementTree

SAID = re.compile(r"^\s*skipp(?:ed|ing)(?: in part)?: *(.*)$", re.IGNORECASE | re.MULTILINE)
SECTION = re.compile(r"^---- (\S+) stdout ----$")
SUMMARY = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;", re.MULTILINE)
IGNORED = re.compile(r"^test (\S+)(?: - .*)? \.\.\. ignored(?:, (.*))?$", re.MULTILINE)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")

Counts = tuple[int, int, list[tuple[str, str]]]


def from_junit(root: xml.etree.ElementTree.Element) -> Counts:
    """Passed, failed, and the skipped tests with their reasons."""
    passed, failed, skipped = 0, 0, []
    for case in root.iter("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name', '')}".removeprefix("::")
        output = "\n".join(text.text or "" for text in case if text.tag in ("system-out", "system-err"))
        said = SAID.search(output)
        mark = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif mark is not None:
            skipped.append((name, mark.get("message") or (mark.text or "").strip()))
        elif said:
            skipped.append((name, said[1]))
        else:
            passed += 1
    return passed, failed, skipped


def from_libtest(text: str) -> Counts:
    """The same from the output of `cargo test`."""
    totals = [sum(column) for column in zip(*(map(int, row) for row in SUMMARY.findall(text)), strict=True)] or [0, 0, 0]
    sections: dict[str, list[str]] = collections.defaultdict(list)
    name = None
    for line in text.splitlines():
        if match := SECTION.match(line):
            name = match[1]
        elif line.startswith(("successes:", "failures:", "test result:")):
            name = None
        elif name:
            sections[name].append(line)
    said = [(name, match[1]) for name, lines in sections.items() if (match := SAID.search("\n".join(lines)))]
    ignored = [(name, reason) for name, reason in IGNORED.findall(text)]
    return totals[0] - len(said), totals[1], ignored + said


def main() -> None:
    """Reads the report that is named on the command line."""
    report, listed, suite = sys.argv[1:]
    text = pathlib.Path(report).read_text(errors="replace")
    if text.lstrip().startswith("<?xml"):
        passed, failed, skipped = from_junit(xml.etree.ElementTree.fromstring(text))
    else:
        passed, failed, skipped = from_libtest(COLOURS.sub("", text))
    with open(listed, "a") as file:
        for name, reason in skipped:
            print(suite, name, " ".join(reason.split()), sep="\t", file=file)
    print(passed, failed, len(skipped))


if __name__ == "__main__":
    main()
