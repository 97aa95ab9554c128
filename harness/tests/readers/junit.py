"""Reads JUnit files as others do: `junit.py SCHEMA FILE...`.

Each file is held against the schema by lxml, and read by junitparser. Prints what they saw, as JSON: for each file, in order, what the
schema says against it, and its testcases as suite, class, name and kinds of result.
"""

import json
import sys

import junitparser
from lxml import etree

schema = etree.XMLSchema(etree.parse(sys.argv[1]))


def look(file):
    schema.validate(etree.parse(file))
    cases = [
        [suite.name, case.classname, case.name, [type(result).__name__ for result in case.result]]
        for suite in junitparser.JUnitXml.fromfile(file)
        for case in suite
    ]
    return {"against": [str(error) for error in schema.error_log], "cases": cases}


json.dump([look(file) for file in sys.argv[2:]], sys.stdout)
