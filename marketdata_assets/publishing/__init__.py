"""What the published dataset consists of, built from the lake and from what is published already.

layout        the files of the repository, by name
manifest      what each file holds: hash, rows, first and last date, outcome of the checks
making        the files of the next publication while they are being made: parquet, a file a year,
              with what is counted in it and what forbids publishing it
beside_prices who did not trade, what the checks found, the calendar, why a session is missing
csv_file      the one CSV: rows of a day, found, appended, replaced in place
card, card_sections  the card, and what of it is other people's
adoption      a dataset that has only an unsorted CSV
workspace     the local copies of published files; the dataset in a folder: whole or not at all
build         all of it together, for the days of a run

Nothing here knows where that is: what is published is handed in as `Published`, what is to be
published is handed out as files.
"""
