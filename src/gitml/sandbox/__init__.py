"""A forge and a runner on your machine, in GitHub's formats: to try, teach, test and evaluate offline.

Where to look, by what you want to change. A change comes in at the top of a list and goes down it.

The process
    welcome      the first users, and what `up` prints          control      start, find, stop it in the background
    serve        lock, socket, recovery, server, runner          app          one ASGI application of all the parts
    shield       host, size and time of every request            patience     connections that say nothing
    tls          its own authority                               forge        the state folder put together
    context      what every part is given                        store        SQLite, one writer
    failpoints   where tests kill it

Who may do what
    users   people, bots, teams       tokens       of people, apps, jobs       auth         the token of a request
    repos   repositories and roles    access       role and token together     refusals     how no is said

Git
    gitaccess    who may fetch and push       githttp      the smart protocol, with limits
    receive      one push, judged             push_policy  what a push may do
    refs         the one way to move a ref, with a journal
    gitrepo      refs and repositories        gitview      reading       gitwrite     new commits

Pull requests
    issues       texts and numbers            pulls        branches that ask to be merged
    reviews      opinions at a commit         comments     conversations
    pull_follow  what a moved ref does to pull requests
    protections  rules of a branch            codeowners   who must review what
    judging      gathers the facts            rules        judges them: pure functions
    merge        the one way to merge
    statuses     commit statuses              checks       check runs
    deployments  what runs where

What happened
    events       the journal of webhooks      payloads     bodies of pushes       announce     all the others

REST (/api/v3)
    rest         the table of operations      rest_actions that of Actions
    rest_serve   HTTP, rights, errors         rest_call    one request, without HTTP
    rest_users rest_repos rest_contents rest_git rest_issues rest_labels rest_pulls rest_reviews rest_protection
    rest_checks rest_deployments rest_dispatches rest_environments
    rest_runtime what a running job hands over and fetches
    serial serial_git serial_pulls serial_checks runs_json       rows as GitHub's JSON

From an event to a run
    intake       each event is judged once    triggers     GitHub's rules: pure functions
    repofacts    what they ask of Git         workflows    workflow files
    globs        filter patterns              linear       how patterns are matched
    cron         schedules                    cronline     one cron line
    runs         a run with its jobs          runs_store   the tables
    rerun        runs that go again           called       reusable workflows

From a run to its end
    runner       the thread that drives it    queue        what is ready, waits, is skipped or over
    plan         what a job asks for          matrix       its combinations
    needs        what jobs hand on            groups       concurrency
    expressions  the `${{ }}` of job keys     coercions    how they convert and compare
    contexts     what they may see            gates        Environments at the door of a job
    environments their rules                  secrets      and variables
    tokenrules   permissions of a job         jobstatus    its commit status
    jobdeploy    its deployment               recovery     after a kill

One job
    execution    from start to end            jobfolder    its files
    render       as a workflow for act        act          the process
    standins     actions that act cannot fetch (in actions/)
    joblog       its log                      artifacts    what it leaves

Pages (templates/ and static/)
    web          every address                web_serve    who visits, may they see it
    web_guard    forms, cookies, origins      web_login web_sessions
    web_files web_commits web_compare web_pulls web_runs web_settings web_texts      a page or a few each
    web_acts     what the forms of a pull request do
    web_timeline web_checks web_diff web_code web_markdown web_words                 parts of pages
"""
