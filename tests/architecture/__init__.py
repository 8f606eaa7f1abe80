"""The fences: house rules as programs, because a rule that no machine checks is a wish.

The checkers are functions from a tree's root to a list of findings, one line each, so that every
one of them is also run on a small tree with a planted violation.
"""
