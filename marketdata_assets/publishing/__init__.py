"""What the published dataset consists of, built from the lake and from what is published already.

layout        the files of the repository, by name
manifest      what each file holds: hash, rows, first and last date, outcome of the checks
missing       why a session between the first and the last day is not there
making        the files of the next publication while they are being made
shards        a parquet file a year, a row group a month
findings_file what the checks found, a file a year
suspended_file  who did not trade, a file a year
csv_file      the one CSV: rows of a day, found, appended, replaced in place
calendar_files, content_checks
card, card_sections, marked_card  the card, and what of it is other people's
adoption      a dataset that has only an unsorted CSV
workspace     the local copies of published files
folder        the dataset in a plain folder: whole or not at all
build         all of it together, for the days of a run

Nothing here knows where that is: what is published is handed in as `Published`, what is to be
published is handed out as files.
"""
