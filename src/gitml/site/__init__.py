"""The site: what the repository, the ledger and the looks say, as pages for each role.

``gather`` reads, and everything after it is a pure function of what it returned: ``facts`` says what there is to show,
``views`` leaves out what a role may not see, ``pages`` and ``pages…`` make pages of it, ``graph`` and ``charts`` their
pictures, ``exports`` the files beside them. ``readcharts`` draws what trainings specified. ``build`` writes, ``serve``
shows on loopback.
"""
