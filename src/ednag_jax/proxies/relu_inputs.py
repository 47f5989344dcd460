"""What a program feeds its ReLUs, folded into one value while the program runs.

The program is read as a jaxpr, so no network needs to say where its ReLUs are, and loops stay loops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
from jaxtyping import Array

Visit = Callable[[Any, Any, int | None], Any]
"""`visit(folded, x, place) -> folded` at a ReLU with input x; place is its number in the body of a loop, or
None outside of loops."""

CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}
"""Primitive that calls a program -> which of its parameters is that program."""


def fold_relu_inputs(function: Callable[..., Any], visit: Visit, start: Any, *args: Any) -> Any:
    """Returns `start` after a visit for every `jax.nn.relu` that the function applies to these arguments.

    ReLUs in scans are visited in every pass; in conditionals and while loops they are not.
    """
    program = jax.make_jaxpr(function)(*args)
    return _run(program.jaxpr, program.consts, jax.tree.leaves(args), _Fold(visit, start))[1]


class _Fold:
    """A visit, what it has folded so far, and in a loop's body the number of the next ReLU."""

    def __init__(self, visit: Visit, folded: Any, place: int | None = None) -> None:
        self.visit, self.folded, self.place = visit, folded, place

    def meet(self, x: Array) -> None:
        self.folded = self.visit(self.folded, x, self.place)
        if self.place is not None:
            self.place += 1


def _run(jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any], fold: _Fold) -> tuple[list[Any], Any]:
    """Returns a program's results, and what was folded."""
    values: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))

    def read(variable: Any) -> Any:
        return variable.val if isinstance(variable, Literal) else values[variable]

    for equation in jaxpr.eqns:
        results = _run_equation(equation, [read(variable) for variable in equation.invars], fold)
        values.update(zip(equation.outvars, results, strict=True))
    return [read(variable) for variable in jaxpr.outvars], fold.folded


def _run_equation(equation: JaxprEqn, args: list[Any], fold: _Fold) -> list[Any]:
    name, params = equation.primitive.name, equation.params
    if _is_relu(equation):
        fold.meet(args[0])
    if name == "scan":
        return _run_scan(params, args, fold)
    called = params.get(CALLS.get(name, ""))
    if called is not None:  # also right for a function with its own derivative, as none is taken here
        return _run(called.jaxpr, called.consts, args, fold)[0]
    results = equation.primitive.bind(*args, **params)
    return list(results) if equation.primitive.multiple_results else [results]


def _is_relu(equation: JaxprEqn) -> bool:
    """Returns whether an equation is `jax.nn.relu`, known by its rule of differentiation around a `relu`.

    Without the rule it is what tracing a loop has left behind, and no result depends on it.
    """
    if equation.primitive.name != "custom_jvp_call":
        return False
    return [inner.params.get("name") for inner in equation.params["call_jaxpr"].jaxpr.eqns] == ["relu"]


def _run_scan(params: dict[str, Any], args: list[Any], fold: _Fold) -> list[Any]:
    """Returns a scan's results; what is folded is carried through it."""
    body: ClosedJaxpr = params["jaxpr"]
    consts, carry, inputs = _scan_parts(params, args)

    def step(state: tuple[list[Any], Any], row: list[Any]) -> tuple[tuple[list[Any], Any], list[Any]]:
        inner = _Fold(fold.visit, state[1], 0)
        results, folded = _run(body.jaxpr, body.consts, [*consts, *state[0], *row], inner)
        return (results[: len(carry)], folded), results[len(carry) :]

    (last, fold.folded), rows = jax.lax.scan(
        step,
        (carry, fold.folded),
        inputs,
        length=params["length"],
        reverse=params["reverse"],
    )
    return [*last, *rows]


def _scan_parts(params: dict[str, Any], args: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """Returns what a scan's passes share, what they carry, and what each has of its own."""
    if "num_consts" not in params:  # from jax 0.12 on
        consts, carry, inputs = map(list, params["ft_in"].update(args).unpack())
        return consts, carry, inputs
    num_consts, num_carry = params["num_consts"], params["num_carry"]
    return args[:num_consts], args[num_consts : num_consts + num_carry], args[num_consts + num_carry :]
