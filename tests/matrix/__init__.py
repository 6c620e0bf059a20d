"""Every combination of answers that a Copier template allows, decided without rendering each.

A question, a path, a file and a check read only some of the answers. Each is a *cell*: it is
evaluated by Copier's own code while what it reads is recorded, and evaluated again only where
something that it read is different. The reads form a tree of decisions that is exact, because
equal values for all that was read so far lead to the same next read.

cells      a function whose reads are recorded, and the tree that they form
jinja      Copier's Jinja environment, made to record the answers that a text uses
answers    an answer, and Copier's worker with answers given from outside
questions  the answers that copier.yml allows, and the ways through them that a cell takes
pieces     a file that depends on many answers, cut into pieces that depend on few
sources    a template's files: the paths that each makes, and what it writes there
template   path -> content, for every combination

Nothing in here knows which questions a template asks.
"""
