"""What holds for every test."""

import os
import signal
from collections.abc import Iterator

import pytest

# A worker per core runs the tests: threads of torch's own would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell without job control starts background jobs with SIGINT ignored, and what they start inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _outside_of_github_actions() -> Iterator[None]:
    """There, `check` prints more; tests of that set the variables themselves."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
            patch.delenv(name, raising=False)
        yield
