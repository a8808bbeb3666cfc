"""One thread for everybody. More help only on large matrices, and a busy machine punishes them.

Importing this file, before NumPy and the peers, is enough for those that read the environment.
"""

import contextlib
import os

os.environ.update(
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    JAX_PLATFORMS="cpu",
)


def one_thread():
    """A context in which linear algebra that is loaded already keeps to one thread as well."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return contextlib.nullcontext()
    return threadpool_limits(1)
