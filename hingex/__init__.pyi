# SPDX-License-Identifier: BSD-3-Clause
from . import blocks as blocks
from . import calibration as calibration
from . import datasets as datasets
from . import io as io
from . import kernel as kernel
from . import kernels as kernels
from . import linear as linear
from . import losses as losses
from . import metric as metric
from . import metrics as metrics
from . import model_io as model_io
from . import plot as plot
from . import ranking as ranking
from . import solvers as solvers
from . import structured as structured
from . import text as text
from ._result import ConvergenceWarning as ConvergenceWarning
from ._result import NotFittedError as NotFittedError
from ._result import NotSeparableError as NotSeparableError
from ._versions import build_info as build_info
from ._versions import show_versions as show_versions
from .calibration import CalibratedClassifier as CalibratedClassifier
from .io import dump_svmlight_file as dump_svmlight_file
from .io import load_svmlight_file as load_svmlight_file
from .io import load_svmlight_files as load_svmlight_files
from .kernel import SVC as SVC
from .kernel import SVR as SVR
from .kernel import NuSVC as NuSVC
from .kernel import NuSVR as NuSVR
from .kernel import OneClassSVM as OneClassSVM
from .linear import AROWClassifier as AROWClassifier
from .linear import LinearClassifier as LinearClassifier
from .linear import LinearSVC as LinearSVC
from .linear import LinearSVCCV as LinearSVCCV
from .linear import PassiveAggressiveClassifier as PassiveAggressiveClassifier
from .linear import PegasosClassifier as PegasosClassifier
from .metric import LMNN as LMNN
from .metric import OASIS as OASIS
from .model_io import load as load
from .ranking import AUCMaximizer as AUCMaximizer
from .ranking import LinearRankSVC as LinearRankSVC
from .structured import ChainSVM as ChainSVM
from .structured import MultilabelSVM as MultilabelSVM
from .structured import StructuredSVM as StructuredSVM

__version__: str
__all__: list[str]
