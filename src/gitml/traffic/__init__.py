"""What was asked and answered, the labels that came later, and the business events beside them.

Written by servers (``gitml.serving`` calls ``PredictionLog.put``) and by commands that add files, read by whatever
judges. No other package knows the files. The map::

    exchange       a request and its answer: the columns of a row (format 2), and rows of format 1 read as such
    predictionlog  the bounded queue of a server, and its thread
    private        columns that are never written
    journal        batches on the local disk, safe within a second
    spool          journals that become Parquet files in the folder or object store of the traffic
    files          which part of the rows lies in which file: what a merged file replaces
    compaction     many small files become one; old days are deleted
    marks          "complete up to T", told by each host
    labels         what really happened     intake  labels and events as callers send them
    events         business events that KPIs are made of
    windowsketch   the sketch of a window; those of past days are kept
    batches        what batch jobs answered, each file once
    housekeeping   once a day: what hosts said is merged, old days are deleted
    reader         windows of all of it, cut at a moment

Below the folder: ``predictions/model=M/date=D/*.parquet``, ``labels/model=M/date=D/*.parquet``,
``events/date=D/*.parquet``, ``hosts/date=D/HOST.json``.
"""
