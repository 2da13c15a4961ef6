"""scripts/bench-heap writes what others read: a list of objects, each with every field, for each
workload. What the figures are is no test's business, but that the heap's fast path stays fast."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / os.environ.get("SLIPWAY_BUILD", "build") / "bench" / "bench_heap"
FIELDS = {"name", "bytes", "ns", "glibc_ns", "ratio", "instructions", "glibc_instructions",
          "instructions_ratio"}
FAST_INSTRUCTIONS_MAX = 100  # of an allocation and a free that no slab is asked for


def test_bench_heap_writes_every_workload_with_every_field(tmp_path):
    output = tmp_path / "heap.json"
    done = subprocess.run([ROOT / "scripts" / "bench-heap", "--divisor", "64", "--output", output,
                           "--program", PROGRAM],
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(output.read_text())
    assert {row["name"] for row in rows} == {"one", "128 at once", "one of 4000"}
    for row in rows:
        assert set(row) == FIELDS and min(row[field] for field in FIELDS - {"name", "bytes"}) > 0
        assert row["name"] in done.stdout
        assert row["ratio"] == row["ns"] / row["glibc_ns"]
        assert row["instructions_ratio"] == row["instructions"] / row["glibc_instructions"]
        if row["name"] == "one" and row["bytes"] <= 2016:
            assert row["instructions"] <= FAST_INSTRUCTIONS_MAX
