# SPDX-License-Identifier: BSD-3-Clause
"""Losses: value, derivative, conjugate and theory of every loss of the hinge family."""

from .adversarial import *  # noqa: F403
from .adversarial import __all__ as _adversarial
from .embedding import *  # noqa: F403
from .embedding import __all__ as _embedding
from .margin import *  # noqa: F403
from .margin import __all__ as _margin
from .mining import *  # noqa: F403
from .mining import __all__ as _mining
from .multiclass import *  # noqa: F403
from .multiclass import __all__ as _multiclass
from .multilabel import *  # noqa: F403
from .multilabel import __all__ as _multilabel
from .ranking import *  # noqa: F403
from .ranking import __all__ as _ranking
from .structured import *  # noqa: F403
from .structured import __all__ as _structured
from .theory import *  # noqa: F403
from .theory import __all__ as _theory

__all__ = [  # noqa: PLE0604
    *_margin, *_multiclass, *_multilabel, *_adversarial, *_embedding, *_mining, *_ranking,
    *_structured, *_theory,
]
