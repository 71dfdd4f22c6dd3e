"""The HTTP API: finished copies in milliseconds, everything else requested and awaited.

Here belongs HTTP alone: what a question may look like, how an answer is written, who may ask. What
the answer is belongs to `serving`. Nothing here knows Dagster; who materializes what was requested
finds it in the queue.

app           the assembly
settings      where it listens and who may ask, from the environment; what one question may cost
connections   how many, how long, how large a head: before there is a question
guarding      the host, the token, the size of a body: before anything is read
errors        every error as JSON, without traces
ranges        parts of a file, and heads without a body
prefix        behind a proxy
encoding      rows as JSON, CSV, Arrow or Parquet
measuring     what /metrics tells
docs_page     /docs without anything from elsewhere
page_files    the web page at / for browsers, open without a token
questions     the parameters and bodies
answers       the shapes of JSON answers, for the OpenAPI document
turns         a queue in front of what is heavy
waiting       requests for what is not stored, awaited without a thread
routes_…      the endpoints
"""
