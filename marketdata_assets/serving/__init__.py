"""What answers stand on: questions with limits, the reading side, the queue of requests.

Here belongs everything between the finished copies and whoever asks, the HTTP API and the query
asset alike. Nothing here knows HTTP, and nothing knows Dagster.

queries          what may be asked, and how much of it
ohlcv_view       how a stored table speaks OHLCV: names, units
former_codes     a share under the code that it had before
adjusting        adjusted prices of one code
bars             days as weeks and months
answers          what is answered: rows of a code, of a day, of many codes
gaps             sessions that were never stored
caches           the histories by code, and what was made of day files, in memory
point_in_time    the same answers as they were known at a moment
instrument_list  which instruments there are, by code or name
price_reader     all of the above for the folder of one profile
marks            what a chart marks of single bars
market_days      the market of a day in numbers, and its movers
coverage_by_day  what is stored of every table and day, and what is the matter with it
table_rows       any table that is stored by day, as it is stored; a fund that no series has
exports          a range as a file
status           how the platform is: evenings, what is late, what runs next, the disk
requests         what is not there yet, or too large to wait for: a durable queue
request_database, shared_requests    where the queue lies, on one machine and of several hosts
"""
