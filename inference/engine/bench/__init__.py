"""Measures whether the engine reaches the goals that a CPU can show, each against another way in the same run.
Knows neither Django nor the platform around the engine.
"""
