"""What the compiled evaluation of a committee needs to know of its features, as flat arrays.

A feature of an atom is an invariant polynomial of its order parameters a_nlm, sums over neighbours of one element of
radial function times spherical harmonic. pypolymlp writes it in complex order parameters with -l <= m <= l; here it is
expanded into real ones, Re and Im of those with m <= 0, and differentiated by each: a *row* holds the derivative of one
feature by one order parameter, and its *items* are the monomials of it.

Source: Seko, Togo & Tanaka, Phys. Rev. B 99, 214108 (2019); order of features and coefficients: pypolymlp 0.22.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import InputError

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

#: Items of a row are padded to a multiple of this, so that the compiled loop takes several at once.
UNROLL = 4


class Invariants(NamedTuple):
    """Features of a central element and what the members make of them, for compiled code.

    Order parameters ("heads") of one radial function are numbered element of the neighbour, l, m; one more is 1.
    Rows are grouped in blocks of one element and l, each with its features, and 2l + 1 rows a feature.

    Attributes:
        n_heads: number of heads of one radial function without the constant.
        max_l: highest angular number.
        head: index of the head by which a row differentiates, shape (n_rows,), dimensionless.
        feature: index of its feature, shape (n_rows,), dimensionless.
        share: what a row times its head adds to its feature: 1 over the feature's degree in the heads of the block for
            one block of each feature, 0 for the others; shape (n_rows,), dimensionless.
        first_item: index of its first item, shape (n_rows + 1,), dimensionless.
        width: number of heads in each of its items, shape (n_rows,), dimensionless.
        first_factor: index in `factors` of its first item, shape (n_rows,), dimensionless.
        factors: indices of heads, shape (n_factors,), dimensionless.
        weights: of the items, shape (n_items,), dimensionless.
        block_head: index of the first head of a block, shape (n_blocks,), dimensionless.
        block_row: index of its first row, shape (n_blocks + 1,), dimensionless.
        block_features: number of its features, shape (n_blocks,), dimensionless.
        block_coefficient: index of its first coefficient, shape (n_blocks,), dimensionless.
        coefficients: members' coefficients in the order block, radial function, feature, member; shape (n,), eV.
        linear: the same in the order of features, shape (n_radial, n_features, n_models), eV.
        scale: of the invariants of degree 1 (pair features), dimensionless.
        single: coefficients of the pair features, shape (n_radial * n_elements, n_models), eV.
        products: indices of the pair features that are multiplied, -1 for none, shape (n_products, 3), dimensionless.
        product_coefficients: shape (n_products, n_models), eV.
    """

    n_heads: int
    max_l: int
    head: NDArray[np.int32]
    feature: NDArray[np.int32]
    share: Floats
    first_item: Indices
    width: NDArray[np.int32]
    first_factor: Indices
    factors: NDArray[np.int32]
    weights: Floats
    block_head: Indices
    block_row: Indices
    block_features: Indices
    block_coefficient: Indices
    coefficients: Floats
    linear: Floats
    scale: float
    single: Floats
    products: NDArray[np.int32]
    product_coefficients: Floats


def obstacle(parameters: Sequence[Any]) -> str | None:
    """Say why potentials cannot be evaluated from one set of features, None when they can.

    Args:
        parameters: pypolymlp's PolymlpParamsSingle of each.
    """
    first = parameters[0]
    model = first.model
    every = list(range(len(model.pair_params)))
    if any(_identity(other) != _identity(first) for other in parameters):
        return "its members have different features"
    if model.feature_type != "gtinv":
        return "its features are not rotational invariants of order parameters"
    if model.pair_type != "gaussian":
        return f"its radial functions are of type '{model.pair_type}', not Gaussians"
    if model.model_type not in (1, 3) and model.max_p > 1:
        return f"its model type {model.model_type} multiplies invariants of degree 2 and more"
    if any(list(indices) != every for indices in model.pair_params_conditional.values()):
        return "its pairs of elements have different radial functions"
    if first.type_full is not None and not first.type_full:
        return "it is a part of a hybrid potential"
    return None


def _identity(parameters: Any) -> Any:
    """What two potentials with the same features have in common."""
    model, gtinv = parameters.model, parameters.model.gtinv
    conditions = sorted(
        (tuple(pair), tuple(indices)) for pair, indices in model.pair_params_conditional.items()
    )
    return (
        list(parameters.elements), parameters.type_full, conditions, [list(pair) for pair in model.pair_params],
        model.cutoff, model.model_type, model.max_p, model.max_l, model.feature_type, model.pair_type,
        gtinv.order, list(gtinv.max_l), gtinv.version,
    )  # fmt: skip


def invariants(parameters: Any, coefficients: Floats) -> list[Invariants]:
    """Make the tables of each central element, in the potential's order of elements.

    Args:
        parameters: pypolymlp's PolymlpParamsSingle.
        coefficients: of each model, shape (n_models, n_coefficients), eV.

    Raises:
        InputError: when there are not as many coefficients as features.
    """
    from pypolymlp.cxx.lib import libmlpcpp  # optional package

    names = libmlpcpp.FeaturesAttr(parameters.as_dict())
    expected = len(names.get_radial_ids()) + len(names.get_polynomial_ids())
    if coefficients.shape[1] != expected:
        raise InputError(
            f"the potential has {coefficients.shape[1]} coefficients, its features are {expected}",
            fix="train it again: its file was cut or edited",
        )
    return [_of_element(element, parameters, names, coefficients) for element in range(parameters.n_type)]


class _Feature(NamedTuple):
    """A feature of the central element: its invariant, and the neighbours' element of each factor."""

    invariant: int
    elements: tuple[int, ...]


def _of_element(central: int, parameters: Any, names: Any, coefficients: Floats) -> Invariants:
    model, n_types = parameters.model, parameters.n_type
    pairs = np.array(names.get_type_pairs())
    partner = {int(pair): other for other, pair in enumerate(pairs[central])}
    radial, combinations = np.array(names.get_radial_ids()), names.get_tcomb_ids()
    known = np.array([all(pair in partner for pair in combination) for combination in combinations])
    n_radial = len(model.pair_params)
    # Each radial function has the same features in the same order.
    ids = np.array([np.flatnonzero(known & (radial == n)) for n in range(n_radial)])
    features = [
        _Feature(names.get_gtinv_ids()[i], tuple(partner[pair] for pair in combinations[i])) for i in ids[0]
    ]
    degree = np.array([len(feature.elements) for feature in features])
    high, low = np.flatnonzero(degree > 1), np.flatnonzero(degree == 1)
    gtinv = model.gtinv
    rows, blocks = _rows([features[i] for i in high], gtinv, n_types, model.max_l)
    by_feature = coefficients.T[ids[:, high]]
    members_of = [by_feature[:, block] for block in blocks]
    sizes = [block.size for block in members_of]
    order = np.argsort([features[i].elements[0] for i in low], kind="stable")
    pair_ids = ids[:, low[order]].reshape(-1)
    products, members = _products(names, pair_ids, coefficients)
    return Invariants(
        n_heads=n_types * (model.max_l + 1) ** 2,
        max_l=model.max_l,
        block_coefficient=np.cumsum([0, *sizes])[:-1].astype(np.int64),
        coefficients=np.concatenate([np.zeros(0), *(block.reshape(-1) for block in members_of)]),
        linear=np.ascontiguousarray(by_feature),
        scale=float(gtinv.lm_coeffs[features[low[0]].invariant][0]),
        single=np.ascontiguousarray(coefficients.T[pair_ids]),
        products=products,
        product_coefficients=members,
        **rows,
    )


def _products(names: Any, pair_ids: Indices, coefficients: Floats) -> tuple[NDArray[np.int32], Floats]:
    """The products of pair features that the central element has, and the members' coefficients."""
    place = {int(index): position for position, index in enumerate(pair_ids)}
    n_linear = len(names.get_radial_ids())
    found, columns = [], []
    for column, product_ids in enumerate(names.get_polynomial_ids()):
        if all(index in place for index in product_ids):
            positions = [place[index] for index in product_ids]
            found.append(positions + [-1] * (3 - len(positions)))
            columns.append(n_linear + column)
    table = np.array(found, dtype=np.int32).reshape(-1, 3)
    return table, np.ascontiguousarray(coefficients.T[np.array(columns, dtype=int)])


def _rows(
    features: Sequence[_Feature], gtinv: Any, n_types: int, max_l: int
) -> tuple[dict[str, Any], list[list[int]]]:
    """Rows and items of the derivatives of features of degree 2 and more, and the features of each block."""
    n_lm = (max_l + 1) ** 2
    real = {
        invariant: real_form(np.array(gtinv.lm_seq[invariant]), np.array(gtinv.lm_coeffs[invariant]))
        for invariant in sorted({feature.invariant for feature in features})
    }
    parts: dict[tuple[int, int], dict[int, list[tuple[Indices, Floats]]]] = {}
    for index, feature in enumerate(features):
        heads, weight = real[feature.invariant]
        shifted = heads + np.array(feature.elements) * n_lm
        for slot, place in enumerate(zip(feature.elements, gtinv.l_comb[feature.invariant], strict=True)):
            position = heads[:, slot] - place[1] ** 2
            others = np.sort(np.delete(shifted, slot, axis=1), axis=1)
            table = np.column_stack([position, others])
            parts.setdefault(place, {}).setdefault(index, []).append((table, weight))
    out, seen = _RowBuilder(n_types * n_lm), set()
    for element, angular in product(range(n_types), range(max_l + 1)):
        block = parts.get((element, angular), {})
        out.begin_block(element * n_lm + angular**2, list(block))
        for index, slots in block.items():
            table, weight = _merged(*(np.concatenate(column) for column in zip(*slots, strict=True)))
            share = 0.0 if index in seen else 1.0 / len(slots)
            seen.add(index)
            out.add_feature(index, share, 2 * angular + 1, table, weight)
    return out.arrays(), out.features


class _RowBuilder:
    """Collects blocks of rows into flat arrays; `one` is the index of the constant head."""

    def __init__(self, one: int) -> None:
        self.features: list[list[int]] = []
        self._one = one
        self._n_rows = 0
        self._blocks: list[tuple[int, int]] = []
        self._rows: list[Floats] = []
        self._factors: list[Indices] = []
        self._weights: list[Floats] = []

    def begin_block(self, head: int, features: list[int]) -> None:
        """Go on with the block of heads from `head`, which has those features."""
        self._blocks.append((head, self._n_rows))
        self.features.append(features)

    def add_feature(self, index: int, share: float, n_rows: int, table: Indices, weight: Floats) -> None:
        """Add the rows of a feature; the first, sorted column of `table` is the position of the head in the block."""
        width = max(table.shape[1] - 1, 2)
        counts = np.bincount(table[:, 0], minlength=n_rows)
        padded = -(-counts // UNROLL) * UNROLL
        place = np.arange(len(table)) + np.repeat(np.cumsum(padded - counts) - (padded - counts), counts)
        factors, weights = np.full((padded.sum(), width), self._one), np.zeros(padded.sum())
        factors[place, : table.shape[1] - 1] = table[:, 1:]
        weights[place] = weight
        heads = self._blocks[-1][0] + np.arange(n_rows)
        same = np.ones(n_rows)
        self._rows.append(np.column_stack([heads, index * same, share * same, width * same, padded]))
        self._factors.append(factors.reshape(-1))
        self._weights.append(weights)
        self._n_rows += n_rows

    def arrays(self) -> dict[str, Any]:
        """The fields of `Invariants` that are about rows."""
        head, feature, share, width, count = np.concatenate([np.zeros((0, 5)), *self._rows]).T
        block_head, block_row = np.array(self._blocks, dtype=np.int64).T
        return {
            "head": head.astype(np.int32),
            "feature": feature.astype(np.int32),
            "share": share.copy(),
            "first_item": np.cumsum([0, *count]).astype(np.int64),
            "width": width.astype(np.int32),
            "first_factor": np.cumsum([0, *(count * width)]).astype(np.int64)[:-1],
            "factors": np.concatenate([np.zeros(0), *self._factors]).astype(np.int32),
            "weights": np.concatenate([np.zeros(0), *self._weights]),
            "block_head": block_head.copy(),
            "block_row": np.array([*block_row, self._n_rows]),
            "block_features": np.array([len(features) for features in self.features]),
        }


def _merged(table: Indices, weight: Floats) -> tuple[Indices, Floats]:
    """Like monomials added up; those that cancel are left out."""
    unique, inverse = np.unique(table, axis=0, return_inverse=True)
    total = np.bincount(np.ravel(inverse), weights=weight, minlength=len(unique))
    keep = abs(total) > 1e-14 * max(abs(total).max(initial=0.0), 1e-300)
    return unique[keep], total[keep]


def real_form(sequence: Indices, weights: Floats) -> tuple[Indices, Floats]:
    """Write an invariant of complex order parameters in real ones.

    With a_l,-m = x + iy for m >= 0, a_lm is (-1)^m (x - iy), and y is 0 for m = 0. The real ones of one l are
    numbered from l*l: m = 0, then x and y of m = 1, 2, ...

    Args:
        sequence: index l*l + l + m of each factor of each term, shape (n_terms, degree), dimensionless.
        weights: of the terms, shape (n_terms,), dimensionless.

    Returns:
        Index of the real order parameter of each factor of each monomial, shape (n_monomials, degree), and weights
        of the monomials, shape (n_monomials,), dimensionless.
    """
    angular = np.sqrt(sequence).astype(int)
    m = sequence - angular**2 - angular
    sign = np.where((m > 0) & (m % 2 == 1), -1.0, 1.0)
    conjugate = np.where(m > 0, -1.0, 1.0)
    tables, values = [], []
    for imaginary in product((False, True), repeat=sequence.shape[1]):
        part = np.array(imaginary)
        if part.sum() % 2:
            continue
        index = angular**2 + np.where(m == 0, 0, 2 * abs(m) - 1 + part)
        value = weights * sign.prod(axis=1) * np.where(part, conjugate, 1.0).prod(axis=1)
        value = value * (-1.0) ** (part.sum() // 2)
        exists = ~np.any((m == 0) & part, axis=1)
        tables.append(index[exists])
        values.append(value[exists])
    return _merged(np.concatenate(tables), np.concatenate(values))
