"""What models do for the business: KPIs by day, and what changed with a change of a model.

Read by commands, jobs and pages; knows nothing of forges and of reports. The map::

    facts       the facts of a KPI one by one, from whatever its source is
    facttable   a Parquet or CSV file, or what a program prints, as batches of facts
    factfile    files of the repository that facts may be read from
    sqlfiles    a query over files, asked of DuckDB in a process of its own     sqlhost  that process
    program     a command that prints CSV, closed in                            programhost  that process
    warehouse   a query in a warehouse, of which only totals of days come back
    prometheus  samples of Prometheus
    days        days of a time zone, also where clocks change
    once        each fact once, by its id
    daily       facts added up by day
    series      a KPI by day, and how it is made
    changes      what changed of what serves
    design       the days that a change is judged on, and what else moves a KPI
    interrupted  an interrupted series with AR(1) errors      structural  a local level, with controls
    impact       what both say of one KPI after one change, and placebo dates
    looking      every change, every KPI, every horizon
    correlation  whether a KPI and a metric go up and down together
    returns      what a change brought against what it took
"""
