"""Who decides, and how it learned: policies, training, oracles, evaluation, export.

Needs the extra ``train``: ``pip install "gymbal[train]"``.
"""
