"""The search whose fitness is evaluated elsewhere: by other processes, on a cluster, by hand, over days."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from ednag_jax.ask_tell import saved
from ednag_jax.ask_tell.ledger import Ledger, Proposal, Told
from ednag_jax.ask_tell.naming import Named, number_of, proposal_of, results_of, stacked
from ednag_jax.ask_tell.replay import UNKNOWN, AnswerLookup, Answers, amended, begin, go_on, no_answers
from ednag_jax.ask_tell.result import recommended_of, result_of
from ednag_jax.config import check_range
from ednag_jax.problem import Problem
from ednag_jax.queries import packed_ids
from ednag_jax.result import Result
from ednag_jax.spaces import SearchSpace
from ednag_jax.strategies import STRATEGIES
from ednag_jax.types import Evaluation, KeyArray, Strategy


class AskTell:
    """A run of any strategy that is told its accuracies: `ask` what to evaluate, `tell` what came of it.

    It makes the steps that `evolve_seeds` makes with this key: an architecture is asked once, repeats are
    answered from what was told. Accuracies are higher the better, in any unit; NaN marks a failure.

    Args:
        space: what is searched, one of `SPACES` or your own.
        config: the strategy's settings, which also say which strategy it is: `EvolveConfig` for EDNAG,
            `OnlineConfig` for EDNAG with an online predictor, which needs the fewest evaluations.
        key: seed i of `search` has `seed_keys(range(i, i + 1))[0]`.
        strategy: only for one that is not in `STRATEGIES`.
        ahead: how many results a step may do without. 0 (default) waits for all. With w workers and a strategy
            that asks for one architecture a step, w - 1 keeps all of them busy: what is not told yet counts
            as failed until it is.

    Raises:
        ValueError: a config of no known strategy, or `ahead` below 0.

    >>> from ednag_jax import CategoricalSpace, OnlineConfig
    >>> space = CategoricalSpace("mine", choices=(2, 2))
    >>> run = AskTell(space, OnlineConfig(num_steps=6, num_initial=1), jax.random.key(0))
    >>> while not run.done:
    ...     batch = run.ask()
    ...     run.tell(batch, [float(proposal.phenotype.sum()) for proposal in batch])
    >>> run.best.arch, run.queries
    ('1-1', 4)
    """

    def __init__(
        self,
        space: SearchSpace,
        config: Any,
        key: jax.Array,
        *,
        strategy: Strategy | None = None,
        ahead: int = 0,
    ) -> None:
        check_range("ahead", ahead, 0)
        if not (
            isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim == 0
        ):
            raise ValueError(f"key must be one key, as jax.random.key(0) gives it, got {key!r}")
        self._begin(space, config, key, strategy=strategy or strategy_of(config), ahead=ahead)
        self._advance(0)

    def _begin(self, space: SearchSpace, config: Any, key: KeyArray, *, strategy: Strategy, ahead: int) -> None:
        """Sets what does not change, and the rest to a run of which nothing was asked."""
        self.space = space.with_encoding(getattr(config, "encoding", space.encoding))
        self.config, self.key, self.strategy, self.ahead = config, key, strategy, ahead
        self.state: Any = None
        """The strategy's, after the last step that is finished; None before the first."""
        self.num_finished = 0
        """Steps that are, the first population among them."""
        self._num_invalid = 0
        self._ledger = Ledger()
        self._rows = jax.tree.map(np.asarray, config.rows())
        fixed = {"problem": Problem(self.space, AnswerLookup(self.space)), "strategy": strategy}
        self._start, self._step = partial(begin, **fixed), partial(go_on, **fixed)
        nothing = no_answers(self.space, 1)
        state, first = jax.eval_shape(self._start, key, nothing, config=config)
        _, later = jax.eval_shape(self._step, key, nothing, state, self._row(0), config=config)
        self._shape, self._sizes = state, (first.accuracy.shape[0], later.accuracy.shape[0])
        self._answered: Evaluation | None = None
        self._is_open = False
        """Whether the next step has proposed: until it is finished the state that it did so from must stay."""

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        space: SearchSpace | None = None,
        config: Any = None,
        strategy: Strategy | None = None,
    ) -> AskTell:
        """Returns the run that `save` wrote, which goes on as if it had not been interrupted.

        What was handed out and not told is handed out anew, before anything else.

        Args:
            path: of the file.
            space: to be given where it is not one of `SPACES`; where it is given it must be the same.
            config: to be given for a strategy of your own; where it is given it must be the same.
            strategy: to be given for a strategy of your own.

        Raises:
            ValueError: the file is of another space or of other settings; the text says which.
            DataError: the file is missing, cut, altered, or of another version.
        """
        header, arrays = saved.read(path)
        space = saved.space_of(header, space)
        config = saved.config_of(header, config)
        run = cls.__new__(cls)
        key = saved.key_of(header)
        run._begin(space, config, key, strategy=strategy or strategy_of(config), ahead=header["ahead"])
        run.num_finished, run._num_invalid = header["num_finished"], header["num_invalid"]
        run._is_open = header["is_open"]
        if run.num_finished:
            run.state = saved.state_of(arrays, run._shape, path)
        for phenotype, accuracy in zip(arrays["told"], arrays["accuracy"], strict=True):
            run._ledger.put(
                number_of(phenotype, space), Told(space.to_str(phenotype), phenotype, float(accuracy))
            )
        for phenotype in arrays["waiting"]:
            run._ledger.want(number_of(phenotype, space), Proposal(space.to_str(phenotype), phenotype))
        return run

    def save(self, path: str | Path) -> Path:
        """Writes all that the run is to a file, whole or not at all, and returns its path.

        Raises:
            OSError: it cannot be written; what was there stays.
        """
        waiting, told = self._ledger.waiting.values(), self._ledger.told.values()
        arrays = {
            "told": stacked(told, self.space),
            "accuracy": np.array([result.accuracy for result in told], np.float32),
            "waiting": stacked(waiting, self.space),
        }
        header = {"num_finished": self.num_finished, "num_invalid": self._num_invalid, "ahead": self.ahead}
        header["is_open"] = self._is_open
        header |= saved.described(self.space, self.config, self.key)
        return saved.write(path, header, arrays, self.state)

    def ask(self, num: int | None = None) -> list[Proposal]:
        """Returns architectures to evaluate, none of which was handed out before.

        Empty where nothing can be proposed before more is told, and where the run is `done`.

        Args:
            num: at most so many; None means all that there are.

        Raises:
            ValueError: num below 1.
        """
        if num is not None:
            check_range("num", num, 1)
        self._advance(self.ahead, enough=num)
        return self._ledger.hand_out(num)

    def tell(self, archs: Named | Sequence[Named], accuracy: ArrayLike) -> None:
        """Takes the results of architectures, in any order, of this step or an earlier one.

        The first result of an architecture counts; a second is ignored, but for a success after a failure. One
        that was never asked about is taken too, and saves asking later.

        Args:
            archs: as `ask` gave them, or their texts, or phenotypes; or one of them.
            accuracy: of each; NaN (or None, or infinite) where the evaluation failed.

        Raises:
            ValueError: not one number for each, or an architecture not of the space; then none is taken.
        """
        for result in results_of(archs, accuracy, self.space):
            self._ledger.put(number_of(result.phenotype, self.space), result)
        if self._is_finished:
            self._amend()
        self._advance(0)

    def forget(self, archs: Sequence[Named] | None = None) -> None:
        """Puts architectures that were handed out back, to be handed out anew: their worker died, say.

        Args:
            archs: None means all that are pending. Those already told, or never handed out, stay as they are.

        Raises:
            ValueError: an architecture that is not of the space.
        """
        chosen = self.pending if archs is None else [proposal_of(arch, self.space) for arch in archs]
        self._ledger.forget([number_of(proposal.phenotype, self.space) for proposal in chosen])

    @property
    def pending(self) -> list[Proposal]:
        """The architectures handed out whose results are not told yet."""
        return [arch for number, arch in self._ledger.waiting.items() if number in self._ledger.asked]

    @property
    def told(self) -> list[Told]:
        """The results, in the order in which they were told."""
        return list(self._ledger.told.values())

    @property
    def queries(self) -> int:
        """How many architectures were told, each counted once."""
        return len(self._ledger.told)

    @property
    def best(self) -> Told | None:
        """The best of those told; None where none succeeded yet."""
        return self._ledger.best()

    @property
    def recommended(self) -> Told | None:
        """The one to end with where results are noisy, as those of trainings are; None until one succeeded.

        Of `OnlineConfig` the one that its predictor expects most of, of other settings the best. Compiles
        anew for each number of results.
        """
        return recommended_of(self.told, self.space, self.strategy, self.config) if self.best else None

    @property
    def done(self) -> bool:
        """Whether all steps are finished and all results told."""
        return self._is_finished and not self._ledger.waiting

    def result(self) -> Result:
        """Returns what the run found so far, in the form of `search` with one seed.

        Raises:
            ValueError: nothing was told yet.
        """
        return result_of(self.told, self.space, self.strategy, self.config, num_invalid=self._num_invalid)

    def _advance(self, lacking: int, *, enough: int | None = None) -> None:
        """Makes steps while at most so many results are lacking, and until `enough` can be handed out."""
        waiting = self._ledger.waiting
        while not self._is_finished and len(waiting) <= lacking:
            if enough is not None and len(self._ledger.unasked()) >= enough:
                return
            self._attempt()

    def _attempt(self) -> None:
        """Makes the next step if all that it asks for has an answer, else notes what has none."""
        num = self.num_finished
        if not self._is_open:
            self._amend()
        answers = no_answers(self.space, self._sizes[min(num, 1)])
        if self._answered is not None:
            answers = self._answers(self._answered)
        if num == 0:
            state, evaluation = self._start(self.key, answers, config=self.config)
        else:
            row = self._row(num - 1)
            state, evaluation = self._step(self.key, answers, self.state, row, config=self.config)
        lacks = np.asarray(evaluation.queried & (evaluation.accuracy == UNKNOWN))
        if lacks.any():
            self._answered, self._is_open = evaluation, True
            self._want(evaluation, lacks)
        else:
            self.state, self.num_finished, self._answered, self._is_open = state, num + 1, None, False
            self._num_invalid += int(np.sum(~np.asarray(evaluation.queried)))

    @property
    def _is_finished(self) -> bool:
        return self.num_finished > len(self._rows.step)

    def _amend(self) -> None:
        """Lets results that came late into the state."""
        if self.state is None:
            return
        evaluation = self.state.evaluation
        told, numbers = self._ledger.told, packed_ids(np.asarray(evaluation.arch_id)).tolist()
        lacks = np.asarray(evaluation.queried) & np.isnan(np.asarray(evaluation.accuracy))
        is_late = [
            bool(at) and n in told and not told[n].is_failed for at, n in zip(lacks, numbers, strict=True)
        ]
        if any(is_late):
            late = self._answers(evaluation)._replace(is_given=jnp.array(is_late))
            self.state = amended(self.state, late, config=self.config)

    def _want(self, evaluation: Evaluation, lacks: np.ndarray) -> None:
        """Notes those architectures of an evaluation that lack an answer."""
        numbers = packed_ids(np.asarray(evaluation.arch_id))[lacks].tolist()
        for number, phenotype in zip(numbers, np.asarray(evaluation.phenotype)[lacks], strict=True):
            self._ledger.want(number, Proposal(self.space.to_str(phenotype), phenotype))

    def _answers(self, evaluation: Evaluation) -> Answers:
        """Returns what is known of the architectures that a step asks for; those waiting count as failed."""
        numbers = packed_ids(np.asarray(evaluation.arch_id)).tolist()
        told, waiting = self._ledger.told, self._ledger.waiting
        accuracy = [told[number].accuracy if number in told else np.nan for number in numbers]
        is_given = [number in told or number in waiting for number in numbers]
        return Answers(evaluation.arch_id, jnp.array(accuracy, jnp.float32), jnp.array(is_given))

    def _row(self, index: int) -> Any:
        return jax.tree.map(lambda column: column[index], self._rows)


def strategy_of(config: Any) -> Strategy:
    """Returns the strategy whose settings these are.

    Raises:
        ValueError: they are no strategy's.
    """
    for entry in STRATEGIES.values():
        if type(config) is entry.config:
            return entry.strategy
    known = ", ".join(entry.config.__name__ for entry in STRATEGIES.values())
    raise ValueError(
        f"config must be one of {known}, got {type(config).__name__}; give your own strategy as strategy="
    )
