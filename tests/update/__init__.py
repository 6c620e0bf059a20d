"""That an update loses nothing: real releases, drawn edits, Copier's own update, and a judge.

small       a small template with five releases in which everything moves that can move
tomorrow    a release that follows today's template: much of it changes, some of it moves
history     templates with one tag for each release, the recorded ones first
edits       what owners do to their files
merging     what must become of a file that its owner edited and a release changed
cases       a project, its owner's edits and an update, drawn by seed and number, and judged
pairs       every (old file, new file) over all answers, merged with each class of edit
"""
