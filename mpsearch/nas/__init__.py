"""The search that begins where allocation ends: proposals, predictors, and Optuna studies of them.

No network runs in here: what measures a choice is given as a function.
"""
