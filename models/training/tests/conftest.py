"""One thread: on a busy machine the threads of these small products would wait for each other most of the time."""

import pytest

pytest.importorskip("torch").set_num_threads(1)
