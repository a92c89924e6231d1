"""Known mixtures as text: "0.7*N(7, 0.5**2) + 0.3*N(10, 0.5**2)"."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..families import FAMILIES, Family
from ..families.base import written
from ..families.choice import meant

_ARITHMETIC: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_EXAMPLE = 'for example "0.7*N(7, 0.5**2) + 0.3*N(10, 0.5**2)"'
_ROUNDING = 1e-5  # of weights that were printed with six digits


def parsed(text: str) -> tuple[NDArray[Any], list[Family]]:
    """Weights and distributions of a formula.

    Raises
    ------
    ValueError
        If it cannot be read; nothing in it is ever executed.
    """
    if not isinstance(text, str):
        raise TypeError(f"a formula is a string, {_EXAMPLE}, not {text!r}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{text!r} is not a formula of a mixture: write {_EXAMPLE}") from error
    weights, components = [], []
    for term in _terms(tree):
        weight, call = _weighted(term, text)
        weights.append(weight)
        components.append(_distribution(call, text))
    total = sum(weights)
    if min(weights) < 0 or not abs(total - 1) <= _ROUNDING:
        raise ValueError(
            f"{text!r}: the weights must be at least 0 and sum to 1, but they are "
            f"{', '.join(f'{w:g}' for w in weights)}, which sum to {total:.10g}"
        )
    columns = {component.n_columns for component in components}
    if len(columns) > 1:
        raise ValueError(f"{text!r}: the distributions are of {sorted(columns)} columns")
    return np.array(weights) / total, components


def formula_of(
    weights: NDArray[Any], components: Sequence[Family], digits: int | None = None
) -> str:
    """The text that `parsed` reads; see `Family.formula` for the digits."""
    if len(components) == 1:
        return components[0].formula(digits)
    return " + ".join(
        f"{written(weight, digits)}*{component.formula(digits)}"
        for weight, component in zip(np.asarray(weights).tolist(), components, strict=True)
    )


def _terms(tree: ast.expr) -> Iterator[ast.expr]:
    while isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add):
        yield from _terms(tree.left)
        tree = tree.right
    yield tree


def _weighted(term: ast.expr, text: str) -> tuple[float, ast.Call]:
    """A term `weight * Family(...)`, the weight on either side, or without one."""
    if isinstance(term, ast.Call):
        return 1.0, term
    if isinstance(term, ast.BinOp) and isinstance(term.op, ast.Mult):
        if isinstance(term.right, ast.Call):
            return _number(term.left, text), term.right
        if isinstance(term.left, ast.Call):
            return _number(term.right, text), term.left
    raise ValueError(
        f"{text!r}: {ast.unparse(term)!r} is not a weight times a distribution: write {_EXAMPLE}"
    )


def _distribution(call: ast.Call, text: str) -> Family:
    shown = ast.unparse(call)
    known = {family.symbol or name: family for name, family in FAMILIES.items()} | FAMILIES
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    if name not in known:
        raise ValueError(
            f"{text!r}: {shown!r} is of no family; there are {', '.join(known)}{meant(name)}"
        )
    family = known[name]
    arguments = [_value(argument, text) for argument in call.args]
    named = {k.arg or "": _value(k.value, text) for k in call.keywords}
    make = family.from_formula if name == family.symbol else family
    try:
        component = make(*arguments, **named)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{text!r}: {shown!r} is no distribution ({error})") from error
    if not component.known:
        raise ValueError(f"{text!r}: {shown!r} has no parameters: give them in the brackets")
    return component


def _value(node: ast.expr, text: str) -> Any:
    """A number, a text, a truth value, a distribution, or a list of them."""
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item, text) for item in node.elts]
    if isinstance(node, ast.Call):  # a part of a product
        return _distribution(node, text)
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bool):
        return node.value
    return _number(node, text)


def _number(node: ast.expr, text: str) -> float:
    """Arithmetic with numbers, in floating point: no power can take long."""
    try:
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return float(value)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return float(_ARITHMETIC[type(op)](_number(left, text), _number(right, text)))
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _ARITHMETIC:
                return float(_ARITHMETIC[type(op)](_number(operand, text)))
    except (ArithmeticError, TypeError) as error:
        raise ValueError(f"{text!r}: {ast.unparse(node)!r} is no number ({error})") from error
    raise ValueError(f"{text!r}: {ast.unparse(node)!r} is not a number")
