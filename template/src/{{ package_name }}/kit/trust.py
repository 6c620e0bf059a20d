"""The types that a stored estimator may hold. Its file can name any type, so only known ones are loaded.

skops itself trusts scikit-learn's estimators and the ufuncs of NumPy and SciPy. ``CLASSES`` and ``FUNCTIONS``
are what fitted estimators hold besides. Other names must be the project's own, or stand in ``trusted.py``.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

PACKAGE = __name__.split(".")[0]
SOURCES = Path(__file__).parents[1]
CLOSED = {PACKAGE, "numpy", "scipy", "sklearn", *sys.stdlib_module_names}
"""Packages with functions that run any code: ``trusted.py`` may name single types of them, not all."""
CLASSES = """
functools: partial
numpy: dtype matrix
scipy.interpolate._bsplines: BSpline
scipy.sparse._csc: csc_array
scipy.sparse._csr: csr_array csr_matrix
sklearn._loss.link: HalfLogitLink IdentityLink Interval LogLink LogitLink MultinomialLogit
sklearn._loss.loss: AbsoluteError ExponentialLoss HalfBinomialLoss HalfBinomialLossArrayAPI HalfGammaLoss
sklearn._loss.loss: HalfMultinomialLoss HalfMultinomialLossArrayAPI HalfPoissonLoss HalfPoissonLossArrayAPI
sklearn._loss.loss: HalfSquaredError HalfTweedieLoss HalfTweedieLossIdentity HuberLoss PinballLoss
sklearn.calibration: _CalibratedClassifier _SigmoidCalibration _TemperatureScaling
sklearn.cluster._bisect_k_means: _BisectingTree
sklearn.compose._column_transformer: make_column_selector
sklearn.ensemble._hist_gradient_boosting.predictor: TreePredictor
sklearn.gaussian_process._gpc: _BinaryGaussianProcessClassifierLaplace
sklearn.gaussian_process.kernels: CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation
sklearn.gaussian_process.kernels: Matern PairwiseKernel Product RBF RationalQuadratic Sum WhiteKernel
sklearn.metrics._dist_metrics: BrayCurtisDistance32 BrayCurtisDistance64 CanberraDistance32
sklearn.metrics._dist_metrics: CanberraDistance64 ChebyshevDistance32 ChebyshevDistance64 DiceDistance32
sklearn.metrics._dist_metrics: DiceDistance64 EuclideanDistance32 EuclideanDistance64 HammingDistance32
sklearn.metrics._dist_metrics: HammingDistance64 HaversineDistance32 HaversineDistance64 JaccardDistance32
sklearn.metrics._dist_metrics: JaccardDistance64 KulsinskiDistance32 KulsinskiDistance64
sklearn.metrics._dist_metrics: MahalanobisDistance32 MahalanobisDistance64 ManhattanDistance32
sklearn.metrics._dist_metrics: ManhattanDistance64 MatchingDistance32 MatchingDistance64 MinkowskiDistance32
sklearn.metrics._dist_metrics: MinkowskiDistance64 RogersTanimotoDistance32 RogersTanimotoDistance64
sklearn.metrics._dist_metrics: RussellRaoDistance32 RussellRaoDistance64 SEuclideanDistance32
sklearn.metrics._dist_metrics: SEuclideanDistance64 SokalMichenerDistance32 SokalMichenerDistance64
sklearn.metrics._dist_metrics: SokalSneathDistance32 SokalSneathDistance64
sklearn.metrics._scorer: _CurveScorer _PassthroughScorer _Scorer
sklearn.model_selection._search_successive_halving: HalvingGridSearchCV HalvingRandomSearchCV
sklearn.model_selection._split: GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut LeaveOneOut
sklearn.model_selection._split: LeavePGroupsOut LeavePOut PredefinedSplit RepeatedKFold
sklearn.model_selection._split: RepeatedStratifiedKFold ShuffleSplit StratifiedGroupKFold StratifiedKFold
sklearn.model_selection._split: StratifiedShuffleSplit TimeSeriesSplit
sklearn.multiclass: _ConstantPredictor
sklearn.neighbors._ball_tree: BallTree BallTree32 BallTree64
sklearn.neighbors._kd_tree: KDTree KDTree32 KDTree64
sklearn.neural_network._stochastic_optimizers: AdamOptimizer SGDOptimizer
sklearn.tree._tree: Tree
sklearn.utils._bunch: Bunch
sklearn.utils._metadata_requests: MetadataRequest MethodMetadataRequest
"""
FUNCTIONS = """
numpy: mean
scipy._lib.array_api_compat.numpy._aliases: asarray
sklearn.cluster._kmeans: _kmeans_single_lloyd
sklearn.feature_selection._mutual_info: mutual_info_classif mutual_info_regression
sklearn.feature_selection._univariate_selection: chi2 f_classif f_regression r_regression
sklearn.metrics._classification: accuracy_score balanced_accuracy_score brier_score_loss d2_brier_score
sklearn.metrics._classification: d2_log_loss_score f1_score jaccard_score log_loss matthews_corrcoef
sklearn.metrics._classification: precision_score recall_score
sklearn.metrics._ranking: average_precision_score roc_auc_score top_k_accuracy_score
sklearn.metrics._regression: d2_absolute_error_score explained_variance_score max_error mean_absolute_error
sklearn.metrics._regression: mean_absolute_percentage_error mean_gamma_deviance mean_poisson_deviance
sklearn.metrics._regression: mean_squared_error mean_squared_log_error median_absolute_error r2_score
sklearn.metrics._regression: root_mean_squared_error root_mean_squared_log_error
sklearn.metrics._scorer: negative_likelihood_ratio positive_likelihood_ratio
sklearn.metrics.cluster._supervised: adjusted_mutual_info_score adjusted_rand_score completeness_score
sklearn.metrics.cluster._supervised: fowlkes_mallows_score homogeneity_score mutual_info_score
sklearn.metrics.cluster._supervised: normalized_mutual_info_score rand_score v_measure_score
sklearn.utils.validation: check_array
"""
"""Functions that estimators keep as an option. All of them only compute."""
TRANSFORMS = """
numpy: around clip fix nan_to_num round sinc
scipy.special._logsumexp: log_softmax softmax
sklearn.preprocessing._data: binarize maxabs_scale minmax_scale normalize power_transform quantile_transform
sklearn.preprocessing._data: robust_scale scale
"""
"""Functions that owners give to ``FunctionTransformer``. They change each value, and only compute."""


def names(text: str) -> frozenset[str]:
    """Full names, from lines of a module and names in it."""
    lines = (line.split(": ") for line in text.split("\n") if line)
    return frozenset(f"{module}.{name}" for module, listed in lines for name in listed.split())


KNOWN = names(CLASSES + FUNCTIONS + TRANSFORMS)


def declared() -> tuple[str, ...]:
    """The owner's entries: types by their full names, or packages."""
    if not find_spec(f"{PACKAGE}.trusted"):
        return ()
    return tuple(import_module(f"{PACKAGE}.trusted").TRUSTED_TYPES)


def foreign(types: Iterable[str]) -> list[str]:
    """Return the types that neither the kit nor the project's owner trusts."""
    entries = declared()
    packages = tuple(f"{entry}." for entry in entries if entry.split(".")[0] not in CLOSED)
    return [
        name
        for name in types
        if name not in KNOWN
        and name not in entries
        and not own(name)
        and not (name.startswith(packages) and _is_class(name))
    ]


def own(name: str) -> bool:
    """Whether the project's code outside the kit and the command line defines this class or function.

    The sources are read and not imported: a stored model must not choose which of them run.
    """
    module, _, last = name.rpartition(".")
    package, *path = module.split(".")
    if package != PACKAGE or not path or path[0] in ("cli", "kit") or not all(map(str.isidentifier, path)):
        return False
    place = SOURCES.joinpath(*path)
    for file in (place.with_suffix(".py"), place / "__init__.py"):
        if file.is_file():
            return last in _defined(ast.parse(file.read_bytes()).body)
    return False


def _defined(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Names of the classes and functions of a module, also of those under a top-level `if` or `try`."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.If):
            yield from _defined([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            caught = [inner for handler in node.handlers for inner in handler.body]
            yield from _defined([*node.body, *caught, *node.orelse, *node.finalbody])


def _is_class(name: str) -> bool:
    """Whether a name of a package that the owner trusts is a class, and defined in that package."""
    module, _, last = name.rpartition(".")
    try:
        found = getattr(import_module(module), last, None)
    except ImportError:
        return False
    return isinstance(found, type) and found.__module__.split(".")[0] == module.split(".")[0]


def refusal(unknown: list[str]) -> str:
    """Say why a model isn't loaded, and how its owner can change that."""
    entries = declared()
    why = f"the model holds types that are not trusted: {', '.join(unknown)}"
    if whole := [entry for entry in entries if entry in {name.split(".")[0] for name in unknown}]:
        why += f" (trusted.py can name only single types of {', '.join(whole)}, not the package)"
    mend = f"write src/{PACKAGE}/trusted.py with the line TRUSTED_TYPES = {sorted({*entries, *unknown})!r}"
    return f"{why}; if your own model.py makes them, {mend}"
