"""Reads metrics as prometheus_client does, in either form: `metrics_parse.py prometheus|openmetrics` with the text on standard input.
Prints one JSON object: families by name with type, unit and samples."""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read_plain

READERS = {"prometheus": read_plain, "openmetrics": read_open}

families = [
    {
        "name": family.name,
        "type": family.type,
        "unit": family.unit,
        "help": family.documentation,
        "samples": [[sample.name, sample.labels, str(float(sample.value))] for sample in family.samples],
    }
    for family in READERS[sys.argv[1]](sys.stdin.read())
]
json.dump(families, sys.stdout)
