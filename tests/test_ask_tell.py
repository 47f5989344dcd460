"""Asked and told in any order, killed and loaded at any time, a run ends as the same run in one go."""

import json
import math
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_contract import CASES

import ednag_jax as ed
from ednag_jax.ask_tell.replay import UNKNOWN
from ednag_jax.problem import TableLookup
from ednag_jax.queries import flatten_trace, query_log

SPACE = ed.CategoricalSpace("bumpy", choices=(3,) * 4)
LARGE = ed.CategoricalSpace("large", choices=(9,) * 12)
"""Its architectures are told apart by hashes, two numbers each."""
TABLE = np.random.default_rng(0).normal(50, 10, SPACE.size).astype(np.float32)
TABLE[::7] = np.nan
ONLINE, EDNAG = CASES["ednag_online"][1], CASES["ednag-default"][1]


def worth(proposal):
    """What the table says of an architecture of the small space."""
    return float(TABLE[int(proposal.arch.replace("-", ""), 3)])


def undisturbed(name):
    """The final state of the same run, asked and told in order."""
    run = new_run(name)
    while not run.done:
        batch = run.ask()
        run.tell(batch, [worth(proposal) for proposal in batch])
    return run.state


def in_one_go(name):
    """The final state, and the queries in their order, of the same run evaluated by `evolve_seeds`."""
    strategy, config = CASES[name]
    state, trace = ed.evolve_seeds(
        ed.seed_keys(1),
        jnp.asarray(TABLE),
        problem=ed.Problem(SPACE, TableLookup(SPACE)),
        config=config,
        strategy=ed.STRATEGIES[strategy].strategy,
    )
    log = query_log(flatten_trace(trace), 0)
    said = [(SPACE.to_str(arch), float(value)) for arch, value in zip(log.phenotype, log.accuracy, strict=True)]
    return jax.tree.map(lambda leaf: np.asarray(leaf)[0], state), said


@pytest.fixture(scope="module")
def whole():
    """The runs in one go by name, each made once."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = (undisturbed(name), *in_one_go(name))
        return made[name]

    return of


def new_run(name, **options):
    return ed.AskTell(SPACE, CASES[name][1], ed.seed_keys(1)[0], **options)


def interrupted(run, rng, path):
    """Drives a run to its end in a random order; returns it and all that was handed out, in order.

    Now and then the driver dies and loads an older file, a worker dies, or a result comes twice.
    """
    out, handed = [], []
    while not run.done:
        move = rng.random()
        if move < 0.1:
            run = ed.AskTell.load(run.save(path), space=SPACE)
            assert not run.pending
            out = []
        elif move < 0.2 and out:
            run.forget([out.pop(rng.randrange(len(out)))])
        elif move < 0.3 and run.told:
            before, state = run.told, run.state
            run.tell(before[-1], 1e6 if before[-1].accuracy > 0 else np.nan)
            assert run.state is state
            assert run.told == before
        new = run.ask(rng.choice([1, 2, 5, None]))
        assert not {proposal.arch for proposal in new} & {told.arch for told in run.told}
        handed += [proposal.arch for proposal in new]
        out += new
        rng.shuffle(out)
        some = rng.randint(0, len(out))
        run.tell(out[:some], [worth(proposal) for proposal in out[:some]])
        out = out[some:]
    return run, handed


def assert_ends_as(run, handed, undisturbed, state, said):
    """Bitwise as the run that nothing disturbed; as `evolve_seeds`, another program, but for rounding."""
    leaves = zip(*map(jax.tree.leaves, (run.state, undisturbed, state)), strict=True)
    for ours, same, theirs in leaves:
        np.testing.assert_array_equal(ours, same)
        if np.issubdtype(np.asarray(theirs).dtype, np.floating):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
        else:
            np.testing.assert_array_equal(ours, theirs)
    assert list(dict.fromkeys(handed)) == [arch for arch, _ in said]
    told = {result.arch: result.accuracy for result in run.told}
    assert run.queries == len(said) == len(told)
    np.testing.assert_array_equal([told[arch] for arch, _ in said], [value for _, value in said])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ednag-default", "ednag_online", "local_search"])
def test_any_order_ends_as_in_one_go(name, whole, tmp_path_factory):
    """The default, the one that people want, and one that asks for something only where it knows the rest."""
    path = tmp_path_factory.mktemp("run") / "run.npz"

    @settings(max_examples=8, deadline=None, database=None)
    @given(st.integers(0, 2**32))
    def every(seed):
        assert_ends_as(*interrupted(new_run(name), random.Random(seed), path), *whole(name))

    every()


def test_hashed_architectures_are_told_apart(tmp_path):
    config, keys = ed.RandomSearchConfig(num_steps=1, batch_size=3), ed.seed_keys(1)
    problem = ed.Problem(LARGE, lambda params, key, phenotype: 1.0 * jnp.sum(phenotype, -1))
    strategy = ed.STRATEGIES["random_search"].strategy
    state, _ = ed.evolve_seeds(keys, None, problem=problem, config=config, strategy=strategy)
    run = ed.AskTell(LARGE, config, keys[0])
    while not run.done:
        batch = run.ask()[::-1]
        run.tell(batch, [proposal.phenotype.sum() for proposal in batch])
        run = ed.AskTell.load(run.save(tmp_path / "run.npz"), space=LARGE)
    for ours, theirs in zip(jax.tree.leaves(run.state), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(ours, theirs[0])
    assert run.queries == 6
    assert run.best.accuracy == state.best.accuracy[0]


def test_a_killed_driver_asks_first_what_was_pending(tmp_path):
    run = new_run("ednag-default")
    handed = run.ask(3)
    run.tell(handed[1], worth(handed[1]))
    assert run.pending == [handed[0], handed[2]]
    again = ed.AskTell.load(run.save(tmp_path / "run.npz"), space=SPACE)
    assert (again.pending, again.told, again.queries) == ([], run.told, 1)
    rest = run.ask()
    assert again.ask() == [handed[0], handed[2], *rest]
    assert run.ask() == again.ask() == []


def test_forgotten_are_asked_again_and_the_told_are_not():
    run = new_run("ednag-default")
    first, second, third = run.ask(3)
    run.tell([second], [worth(second)])
    run.forget([first, second])
    assert run.ask(1) == [first]
    run.forget()
    assert run.ask(2) == [first, third]


def test_texts_and_phenotypes_name_architectures_too():
    run = new_run("ednag-default")
    first, second, third = run.ask(3)
    run.tell(first.arch, 60.0)
    run.tell([second.arch, third.phenotype], [50.0, None])
    assert [(told.arch, told.accuracy) for told in run.told[:2]] == [(first.arch, 60.0), (second.arch, 50.0)]
    assert run.told[2].is_failed
    assert run.best == run.told[0]


def test_what_is_known_beforehand_is_never_asked():
    known = new_run("ednag-default").ask()
    run = new_run("ednag-default")
    run.tell(known, [worth(proposal) for proposal in known])
    assert run.num_finished == 1
    assert not set(run.ask()) & set(known)


def told_but(run, left_out):
    """Tells all that there is to ask but some architectures, which fail."""
    batch = run.ask()
    run.tell(batch, [np.nan if proposal in left_out else 10.0 + proposal.phenotype.sum() for proposal in batch])


def test_a_success_after_a_failure_is_the_best_and_counts_once():
    run = new_run("ednag-default")
    late = run.ask(1)[0]
    told_but(run, ())
    run.tell(late, np.nan)
    proposed, queries = run.ask(), run.queries
    run.tell(late, 100.0)
    assert (run.best.arch, run.best.accuracy, run.queries) == (late.arch, 100.0, queries)
    assert run.pending == proposed  # what a step has proposed stays, however late results come


@pytest.mark.slow
def test_recommended_is_the_strategys_choice_and_else_the_best():
    """Of one kind of architectures that were told about the same, and one of another told a little more."""
    alike = [f"{a}-{b}-0" for a in (0, 1) for b in (0, 1)]
    for config, expected in ((ed.OnlineConfig(noise_levels=(1.0,)), alike), (ed.EvolveConfig(), ["2-2-2"])):
        run = ed.AskTell(ed.CategoricalSpace("mine", choices=(3, 3, 3)), config, jax.random.key(0))
        assert run.recommended is None
        run.tell(["0-2-2", "1-2-2", "2-0-2"], [math.nan, 1.0, 1.1])
        run.tell([*alike, "2-2-2"], [9.0, 9.1, 9.2, 9.3, 9.4])
        assert run.best.arch == "2-2-2"
        assert run.recommended.arch in expected


def test_late_results_leave_unused_rows_of_an_archive_unused():
    """They repeat the last row that is used, and must not succeed with it."""
    run = new_run("ednag_online")
    last = SPACE.to_str(run.ask()[-1].phenotype)
    run = new_run("ednag_online")
    told_but(run, [proposal for proposal in run.ask() if proposal.arch == last])
    for proposal in run.pending or run.ask():
        run.tell(proposal, np.nan if proposal.arch == last else 10.0 + proposal.phenotype.sum())
    used = ONLINE.num_initial
    assert (run.num_finished, SPACE.to_str(run.state.evaluation.phenotype[used - 1])) == (1, last)
    run.tell(last, 12.0)
    batch = run.ask()  # the step that had proposed already is finished first
    run.tell(batch, [11.0])
    assert run.state.evaluation.fitness[used - 1 : used + 1].tolist() == [12.0, 11.0]
    assert np.all(np.isneginf(run.state.evaluation.fitness[used + 1 :]))


@pytest.mark.slow
def test_steps_ahead_keep_workers_busy_and_count_late_results():
    """Three results may be lacking, so four are out; in the end the archive holds the truth of all."""
    run, out, rng = new_run("ednag_online", ahead=3), [], random.Random(0)
    handed = []
    while not run.done:
        new = run.ask(4 - len(out))
        handed += new
        out += new
        assert len(out) == 4 or run.num_finished == len(ONLINE.rows().step) + 1
        chosen = out.pop(rng.randrange(len(out)))
        run.tell(chosen, worth(chosen))
    archive = run.state.evaluation
    truth = TABLE[np.asarray(SPACE.arch_index(archive.phenotype))]
    np.testing.assert_array_equal(archive.accuracy, truth)
    np.testing.assert_array_equal(archive.fitness, np.where(np.isnan(truth), -np.inf, truth))
    assert run.state.best.accuracy == run.best.accuracy == np.nanmax(truth)
    distinct_first = len({proposal.arch for proposal in new_run("ednag_online").ask()})
    assert len(set(handed)) == len(handed) == run.queries == distinct_first + ONLINE.num_steps


def test_nothing_told_counts_as_something():
    run = new_run("ednag-default")
    run.tell([], [])
    assert (run.queries, run.best, run.told) == (0, None, [])
    with pytest.raises(ValueError, match="nothing was told"):
        run.result()
    first = run.ask(1)
    run.tell(first, [UNKNOWN])
    assert run.told[0].is_failed
    assert run.best is None
    assert np.isnan(run.result().best_accuracy[0])


def test_result_is_a_search_result(tmp_path):
    run, said = new_run("ednag-default"), [30.0, np.nan, 50.0, 40.0]
    batch = run.ask(4)
    run.tell(batch, said)
    result = run.result()
    np.testing.assert_array_equal(result.curve, [[30.0, 30.0, 50.0, 50.0]])
    assert (result.best_arch, result.queries.tolist(), result.num_failed.tolist()) == (
        [batch[2].arch],
        [4],
        [1],
    )
    assert result.strategy == "ednag"
    again = ed.Result.from_dict(json.loads(result.to_json(tmp_path / "result.json").read_text()))
    np.testing.assert_array_equal(again.curve, result.curve)


@pytest.mark.parametrize(
    ("archs", "accuracy", "said"),
    [
        (["0-0-0-0"], [1.0, 2.0], "one number for each of 1"),
        (["0-0-0-0", "0-0-0-1"], 1.0, "one number for each of 2"),
        (["0-0-0-3"], [1.0], "outside its choices"),
        ([[0, 0, 3, 0]], [1.0], "no architecture of space 'bumpy'"),
        ([[0, 0, 0]], [1.0], "no architecture of space 'bumpy'"),
        (["1-1-1-1", "nothing"], [1.0, 2.0], "not 4 numbers"),
    ],
)
def test_wrong_results_are_refused_whole(archs, accuracy, said):
    run = new_run("ednag-default")
    with pytest.raises(ValueError, match=said):
        run.tell(archs, accuracy)
    assert run.queries == 0


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"config must be one of .*OnlineConfig.*, got TrainingConfig"):
        ed.AskTell(SPACE, ed.TrainingConfig(), jax.random.key(0))
    for key in (jax.random.PRNGKey(0), ed.seed_keys(2)):
        with pytest.raises(ValueError, match="key must be one key"):
            ed.AskTell(SPACE, EDNAG, key)
    with pytest.raises(ValueError, match="ahead must be at least 0"):
        ed.AskTell(SPACE, EDNAG, jax.random.key(0), ahead=-1)
    with pytest.raises(ValueError, match="num must be at least 1"):
        new_run("ednag-default").ask(0)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The file of a run with a state, results and architectures that wait."""
    run = new_run("ednag-default")
    told_but(run, ())
    run.ask(1)
    return run.save(tmp_path_factory.mktemp("saved") / "run.npz")


def test_a_file_of_plain_arrays_says_all_of_the_settings(saved):
    with np.load(saved, allow_pickle=False) as archive:
        header = json.loads(archive["header"].tobytes())
    assert header["config"]["name"] == "EvolveConfig"
    assert header["config"]["fields"]["num_steps"] == EDNAG.num_steps
    assert ed.AskTell.load(saved, space=SPACE, config=EDNAG).config == EDNAG


def test_first_architectures_come_back_from_a_file(tmp_path):
    first = jnp.array([[2, 1, 0, 1], [0, 0, 2, 2]])
    config = ed.OnlineConfig(num_steps=1, num_initial=3, first=first)
    run = ed.AskTell.load(ed.AskTell(SPACE, config, jax.random.key(0)).save(tmp_path / "run.npz"), space=SPACE)
    np.testing.assert_array_equal(run.config.first, first)
    assert [proposal.arch for proposal in run.ask(2)] == ["2-1-0-1", "0-0-2-2"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_a_cut_or_altered_file_is_refused(saved, tmp_path, share):
    content = saved.read_bytes()
    at = int(share * len(content))
    cut, altered = tmp_path / "cut.npz", tmp_path / "altered.npz"
    cut.write_bytes(content[:at])
    altered.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
    with pytest.raises(ed.DataError, match=r"cut\.npz"):
        ed.AskTell.load(cut, space=SPACE)
    try:
        run = ed.AskTell.load(altered, space=SPACE)
    except ed.DataError:
        return
    assert run.told == ed.AskTell.load(saved, space=SPACE).told  # the byte was one that .npz does not use


def test_an_array_changed_under_a_true_zip_is_refused(saved, tmp_path):
    with np.load(saved) as archive:
        arrays = dict(archive)
    arrays["accuracy"] = arrays["accuracy"] + 1
    np.savez(tmp_path / "run.npz", **arrays)
    with pytest.raises(ed.DataError, match="does not match its checksum"):
        ed.AskTell.load(tmp_path / "run.npz", space=SPACE)
    with pytest.raises(ed.DataError, match="is missing"):
        ed.AskTell.load(tmp_path / "none.npz")


def test_another_space_or_other_settings_are_refused_by_name(saved):
    with pytest.raises(ValueError, match="none of SPACES: give it as space="):
        ed.AskTell.load(saved)
    other = ed.CategoricalSpace("bumpy", choices=(3,) * 5)
    with pytest.raises(ValueError, match=r"space must be the run's, which has fields 4 \(given: 5\)"):
        ed.AskTell.load(saved, space=other)
    with pytest.raises(ValueError, match=r"which has temperature 1.0 \(given: 2.0\)$"):
        ed.AskTell.load(saved, space=SPACE, config=EDNAG.replace(temperature=2.0))
    with pytest.raises(ValueError, match=r"which has name 'EvolveConfig' \(given: 'OnlineConfig'\)"):
        ed.AskTell.load(saved, space=SPACE, config=ONLINE)


def test_a_write_that_fails_leaves_the_file(saved, monkeypatch):
    run, before = ed.AskTell.load(saved, space=SPACE), saved.read_bytes()
    run.tell(run.ask(1), [1.0])

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run.save(saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]
