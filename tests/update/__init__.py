"""Tests that an update loses no edits: real releases, random edits, Copier's own update, and a judge of the result.

small       a small template with five releases that contain every kind of change
tomorrow    a release after the current template, in which files change and move
history     templates with a tag for each release
edits       edits by owners of projects
merging     the expected result for a file that both its owner and a release changed
cases       a random project with random edits and a random update, reproducible by seed and number
pairs       every (old file, new file) over all answers, merged with each kind of edit
"""
