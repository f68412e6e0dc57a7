# SPDX-License-Identifier: Apache-2.0
"""The outcome as JUnit XML, which CI systems show beside the results of tests.

Each cause that was looked for is a test case, so that a good model shows what it has
passed. A finding that blocks is a failure; warnings and information are output of
their test case; what nobody looked for is skipped, with the reason.
"""

import re
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from components.causes import CATALOGUE, Cause
from components.findings import Finding
from pipeline.coverage import FAILED_CHECK, causes_of, is_of_the_data
from pipeline.outcome import Outcome

_SUITE = "tfx-guard"
_OTHER_CHECKS = "other checks"
# Checks whose cause has a test case of its own, which is then skipped.
_SAID_OF_A_CAUSE = frozenset(("training mode", "harmless changes"))
# Whatever XML 1.0 has no way to write, not even escaped.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(outcome: Outcome) -> str:
    """Returns the outcome as a JUnit XML document.

    The one test suite is called after the pipeline or model. Its cases are, in this
    order: every cause that is looked for, in the catalogue's order of explanation;
    every check that could not run; every check that was left out.

    A model that was refused without a finding that says why has a failure all the
    same, so that no reader of the file takes it for a good one.
    """
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(root, "testsuite")
    for case in _cases(outcome):
        suite.append(case)
    cases = suite.findall("testcase")
    counts = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "errors": 0,  # A fault of ours ends the command without such a file.
        "skipped": sum(case.find("skipped") is not None for case in cases),
    }
    attributes = {
        "name": f"{_SUITE} {outcome.name}",
        **{name: str(count) for name, count in counts.items()},
        "time": f"{outcome.seconds:.3f}",
    }
    for element in (root, suite):
        element.attrib = {key: _text(value) for key, value in attributes.items()}
    ElementTree.indent(root)
    # Other characters as references: the text then means the same in any encoding
    # that a console or a CI system gives it.
    document = ElementTree.tostring(root, encoding="us-ascii", xml_declaration=False)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{document.decode("ascii")}\n'


def _cases(outcome: Outcome) -> Iterator[ElementTree.Element]:
    findings = outcome.verdict.findings
    expected = {cause.id: cause for cause in causes_of(outcome.kind)}
    found = {f.cause for f in findings} - {FAILED_CHECK}
    for cause in CATALOGUE.values():
        if cause.id in expected or cause.id in found:
            yield _of_cause(cause, outcome)
    failed = [finding for finding in findings if finding.cause == FAILED_CHECK]
    for finding in failed:
        # Those that only warn have not run either, which `skipped` says.
        yield _case(
            "check", finding.found_by or FAILED_CHECK, [finding], _skipped(finding)
        )
    for sentence in outcome.not_run:
        name, colon, _ = sentence.partition(":")
        if name not in _SAID_OF_A_CAUSE:
            yield _case("check", name if colon else _OTHER_CHECKS, [], sentence)
    if not outcome.blessed and not any(finding.blocks for finding in findings):
        case = _case("check", "blessing", [])
        _add(case, "failure", "The model was not blessed.", {"type": "not_blessed"})
        yield case


def _of_cause(cause: Cause, outcome: Outcome) -> ElementTree.Element:
    findings = [f for f in outcome.verdict.findings if f.cause == cause.id]
    group = "data" if is_of_the_data(cause) else "model"
    reason = "" if findings else outcome.not_looked_for.get(cause.id, "")
    return _case(group, cause.id, findings, reason)


def _case(
    group: str, name: str, findings: Sequence[Finding], skipped: str = ""
) -> ElementTree.Element:
    """Makes one test case; a reader counts each once, whatever was found."""
    case = ElementTree.Element(
        "testcase",
        {"classname": f"{_SUITE}.{group}", "name": _text(name), "time": "0.000"},
    )
    blocking = [finding for finding in findings if finding.blocks]
    if blocking:
        first = blocking[0]
        _add(
            case,
            "failure",
            "\n\n".join(map(_told, blocking)),
            {"message": first.message, "type": first.cause},
        )
    elif skipped:
        _add(case, "skipped", "", {"message": skipped})
    others = [finding for finding in findings if not finding.blocks]
    if others:
        _add(case, "system-out", "\n\n".join(map(_told, others)))
    return case


def _skipped(finding: Finding) -> str:
    return "" if finding.blocks else finding.message


def _told(finding: Finding) -> str:
    """Returns all that a reader of a log needs, with the numbers unrounded."""
    lines = [f"{finding.severity.value}: {finding.message}"]
    if str(finding.subject) != "everything":
        lines.append(f"subject: {finding.subject}")
    if finding.measured is not None:
        limit = "" if finding.limit is None else f", limit {finding.limit!r}"
        lines.append(f"measured: {finding.measured!r}{limit} {finding.unit}".rstrip())
    return "\n".join((*lines, f"remedy: {finding.remedy}"))


def _add(
    case: ElementTree.Element,
    tag: str,
    text: str,
    attributes: dict[str, str] | None = None,
) -> None:
    element = ElementTree.SubElement(
        case, tag, {key: _text(value) for key, value in (attributes or {}).items()}
    )
    if text:
        element.text = _text(text)


def _text(text: str) -> str:
    """Returns `text` with what XML cannot hold replaced by U+FFFD."""
    return _NO_XML.sub("\ufffd", text)
