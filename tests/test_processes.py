"""Processes side by side: every call is done once, wherever; errors and stops end them."""

import os

import pytest

from ednag_jax.processes import side_by_side


def halved(number, by=2):
    return number / by, os.getpid()


def failing(number):
    raise ValueError(f"no {number}")


def test_one_process_is_this_one_and_takes_calls_in_their_order():
    done = list(side_by_side(halved, [(4,), (9, 3)], num_processes=1))
    assert done == [(0, (2, os.getpid())), (1, (3, os.getpid()))]


@pytest.mark.slow
def test_several_do_every_call_once_somewhere_else():
    done = dict(side_by_side(halved, [(number,) for number in range(6)], num_processes=2))
    assert {position: value for position, (value, _) in done.items()} == {n: n / 2 for n in range(6)}
    assert os.getpid() not in {process for _, process in done.values()}


@pytest.mark.slow
def test_an_error_reaches_the_caller():
    with pytest.raises(ValueError, match="no 1"):
        list(side_by_side(failing, [(1,), (1,)], num_processes=2))
