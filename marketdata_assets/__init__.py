"""Chinese market data as Dagster assets.

trading_calendar, tables, partitions   what days, columns and partitions are; they know nobody
timetable, allowance_counter           when things run by themselves, and the calls that are counted
instruments                            what a code is; it knows nobody either
resources, storage                     the outside world, and where tables rest
checks                                 what must hold before a day is stored, and the ledger of gaps
serving                                what answers stand on: slices of finished copies, requests
api, page                              the HTTP API over them, without Dagster; the page it serves
client                                 the same calls in Python, over a folder or over the API
publishing                             what the published dataset consists of, built from the lake
assets                                 the datasets, one a file
automation                             what runs by itself
settings, profile                      what is read from the environment: live, or the sandbox
environment, definitions               the assembly of everything for Dagster
hosts, shared_database, celery_*       what several hosts share, and the steps of runs there
run_launcher, supervising              what becomes of runs and programs that end
code_server, daemon, ui                the programs of Dagster's that `dev` starts
copying, copy_places                   what `copy` takes from a place to another, and how
command_texts                          what the commands say of themselves, in two languages
doctor                                 what would stop an evening, looked for beforehand
in_process_runs                        what `demo` and `backfilling` run in their own process
*_command.py, *_commands.py            what single commands print
demo, dev, serve, __main__             what `marketdata demo`, `dev`, `web`, … run
"""

__version__ = "0.1.0"
