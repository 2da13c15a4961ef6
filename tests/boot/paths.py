"""Where the boot tests find the tree and what make has built."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("SLIPWAY_BUILD", "build")
