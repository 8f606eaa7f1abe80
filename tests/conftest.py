"""What holds for every test: how hypothesis looks for trouble, here and in CI."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No deadline: how long one example takes says how busy the machine is, not whether code is right.
settings.register_profile("here", deadline=None, print_blob=True)
# In CI the examples are the same every time, so a red run is about the change it was run for; new
# examples are looked for on developers' machines, where a find can be kept as a test.
settings.register_profile(
    "ci",
    settings.get_profile("here"),
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "here")
