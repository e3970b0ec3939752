import os

# scikit-learn skips its array API check, and scipy reads this once, at its import.
os.environ["SCIPY_ARRAY_API"] = "1"

# Networks as small as the tests' gain nothing from threads, and the threads of
# several processes that wait for each other on few cores cost up to thirtyfold.
os.environ.setdefault("OMP_NUM_THREADS", "1")
