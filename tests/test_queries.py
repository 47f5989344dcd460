"""What counts as a query: distinct, valid, in order, once."""

import numpy as np

from ednag_jax.queries import Evaluated, best_so_far, failures, packed_ids, query_log


def evaluated(ids, accuracy, queried):
    ids = np.array([ids])
    phenotype = (ids if ids.ndim == 2 else ids[..., 0])[..., None]
    accuracy = np.array([accuracy], float)
    return Evaluated(phenotype, ids, np.array([queried]), accuracy, accuracy)


def test_repeats_and_invalid_ones_are_free_and_first_answers_count():
    log = query_log(evaluated([7, 3, 7, 9, 3, 4], [1, 2, 5, 3, 9, 4], [True, True, True, False, True, True]), 0)
    assert log.phenotype[:, 0].tolist() == [7, 3, 4]
    assert log.accuracy.tolist() == [1, 2, 4]


def test_budget_cuts_after_distinct_queries():
    log = query_log(evaluated([7, 7, 3, 7, 4, 5], [1, 1, 2, 1, 9, 3], [True] * 6), 0, budget=2)
    assert log.phenotype[:, 0].tolist() == [7, 3]


def test_a_failed_query_counts():
    log = query_log(evaluated([1, 2, 3], [np.nan, 5, 4], [True] * 3), 0)
    assert len(log.accuracy) == 3
    np.testing.assert_array_equal(best_so_far(log.accuracy, 5), [np.nan, 5, 5, 5, 5])


def test_curve_of_no_query_is_unknown():
    np.testing.assert_array_equal(best_so_far(np.array([]), 2), [np.nan, np.nan])


def test_hashes_that_share_a_half_are_different():
    top = np.uint32(0xFFFFFFFF)
    ids = np.array([[1, 2], [1, 3], [2, 2], [top, top], [1, 2]], np.uint32)
    packed = packed_ids(ids)
    assert len(set(packed.tolist())) == 4
    assert packed[0] == packed[4]
    log = query_log(evaluated(ids, [1, 2, 3, 4, 5], [True] * 5), 0)
    assert log.accuracy.tolist() == [1, 2, 3, 4]


def test_failures_are_told_from_invalid():
    invalid, failed = failures(evaluated([1, 2, 3], [np.nan, np.inf, 4], [False, True, True]))
    assert invalid.tolist() == [[True, False, False]]
    assert failed.tolist() == [[False, True, False]]
