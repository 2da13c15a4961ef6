"""scripts/bench-frames writes what others read: a list of objects, each with every field, for every
workload that has a goal. What the figures are is no test's business."""

import importlib.machinery
import importlib.util
import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "bench-frames"
PROGRAM = ROOT / os.environ.get("SLIPWAY_BUILD", "build") / "bench" / "bench_frames"
FIELDS = {"name", "gib", "cpus", "ns", "ns_best", "instructions", "scale_ns", "goal_ns", "met",
          "growth", "bits"}


def load_script():
    loader = importlib.machinery.SourceFileLoader("bench_frames", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_frames", loader))
    loader.exec_module(module)
    return module


def test_bench_frames_writes_every_workload_with_every_field(tmp_path):
    output = tmp_path / "frames.json"
    done = subprocess.run([SCRIPT, "--quick", "--output", output, "--program", PROGRAM],
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    bench = load_script()
    rows = json.loads(output.read_text())
    assert {row["name"] for row in rows} >= {*bench.GOALS_NS, bench.SCALE}
    for row in rows:
        assert set(row) == FIELDS
        assert row["name"] in done.stdout
        assert row["ns"] >= row["ns_best"] > 0 and row["scale_ns"] > 0
        assert (row["goal_ns"] is None) == (row["met"] is None)
        threads = row["name"].startswith(("one thread", "two threads"))
        assert (row["instructions"] is None) == threads
        assert 1 < row["bits"] <= bench.BITS_MAX
    assert "bits of metadata for a frame" in done.stdout


def test_a_goal_is_met_when_the_median_is_at_most_the_goal():
    bench = load_script()
    for median, met in ((6.0, True), (6.1, False)):
        times = {bench.SCALE: (1.1, [5.0]), "alloc every frame": (1.1, [9.0, median, 1.0])}
        row = bench.make_rows(times, {"alloc every frame": 70})[1]
        assert (row["ns"], row["ns_best"], row["scale_ns"], row["met"]) == (median, 1.0, 5.0, met)


def test_growth_is_that_of_the_same_workload_from_1_to_64_gib():
    bench = load_script()
    rows = [{"name": "init", "gib": gib, "cpus": cpus, "ns": ns, "growth": None}
            for gib, cpus, ns in ((1, 8, 2.0), (16, 1, 9.0), (64, 8, 3.0))]
    bench.add_growth(rows)
    assert [row["growth"] for row in rows] == [None, None, 1.5]
