"""Rows in few numbers: what a reference and a window of traffic are both counted into, so that they can be compared.

A reference sets the cells, once for each version; every window counts into the same ones. Sketches of windows add up
to that of a longer window exactly, in any order, and the same rows give the same bytes. The map::

    grids      where the cells of a column begin
    numbers    values of a column of numbers into cells, at a few nanoseconds each
    words      values of a column of categories into cells
    units      the sum of squared rows of each unit, in constant memory
    layout     what is counted: the columns with their grids, strata, clusters
    sketch     the counts of one window or reference
    gather     batches of rows into a sketch, streamed
    reference  a layout and its sketch from the rows of a training window
    form       both as bytes
    counts     one column of a sketch, as judgements take it
"""
