"""Fail where a test was skipped for anything but hardware or an extra that CI can't have."""

import re
import sys
import xml.etree.ElementTree as ET

ALLOWED = re.compile(r"CUDA device|braindecode|moabb")

skipped = [
    (case.get("classname", ""), case.get("name", ""), node.get("message") or "")
    for case in ET.parse(sys.argv[1]).iter("testcase")
    for node in case.iter("skipped")
]
wrong = [entry for entry in skipped if not ALLOWED.search(entry[2])]
for module, name, reason in wrong:
    sys.stderr.write(f"skipped without need: {module}.{name}: {reason}\n")
sys.exit(1 if wrong else 0)
