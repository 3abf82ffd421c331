"""The statistics of a comparison: alignment, intervals, tests, corrections, power, reliability, agreement.

Everything here is about numbers, and knows no store. Modules load NumPy and SciPy, so they are imported when a
comparison is asked for, and not before.
"""
