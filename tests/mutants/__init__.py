"""Small faults in the emitted code, one at a time, each of which an emitted test has to find.

`operators` makes them, `projects` says where they are put, `running` runs the emitted tests on them, `equivalents.yaml` lists
those that no input can show. `python -m tests.mutants` runs a sample, or all.
"""
