"""Pictures to classify: 1,797 real digits that scikit-learn carries."""

import numpy as np


def digits(test=0.2, seed=0, dtype=np.float64):
    """Handwritten digits, 8 by 8 pixels: `(X, y), (X_test, y_test)`.

    scikit-learn carries 1,797 of them, 174 to 183 of each. X (n, 64) is scaled to [0, 1], y (n,)
    holds 0 to 9. The share `test` of each digit is set aside for testing, drawn by `seed`: the same
    seed, the same split. Raises ImportError where scikit-learn is missing.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "the digits come with scikit-learn, which is not installed: pip install scikit-learn"
        ) from error
    if not 0.0 < test < 1.0:
        raise ValueError(f"digits: test={test}; expected a share between 0 and 1, such as 0.2")
    X, y = load_digits(return_X_y=True)
    X, rng = (X / 16.0).astype(dtype), np.random.default_rng(seed)
    held_out = np.zeros(len(y), bool)
    for digit in range(10):
        members = rng.permutation(np.flatnonzero(y == digit))
        held_out[members[: round(test * len(members))]] = True
    return (X[~held_out], y[~held_out]), (X[held_out], y[held_out])
