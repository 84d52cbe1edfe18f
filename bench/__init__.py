# SPDX-License-Identifier: BSD-3-Clause
"""Benchmarks of hingex beside other libraries: `python -m bench AREA`."""
